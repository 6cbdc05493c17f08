/**
 * A system call made by a guest's own thread in place of the one that it is trapped in, so that it
 * comes to what the guest's own call would. The thread is traced for the length of this one event
 * and let go again.
 *
 * Used where the supervisor cannot act for the guest: only a process itself can change its working
 * directory or execute a program.
 */
import { ERRNO } from "../../base/index.ts";
import {
  type CallRequest,
  detach,
  interrupt,
  seize,
  TRACE_OPTION,
  writeGuestMemory,
} from "../../sys/index.ts";
import { failureOf, Gone, LedThread, reap, Reaped } from "./led-thread.ts";
import type { Answer } from "../calls/answer.ts";
import type { Instead } from "./outside-calls.ts";
import { layOut, type PlacedArgument, placedOctets } from "./placed-arguments.ts";

const PROT_READ_WRITE = 3n;
const MAP_PRIVATE_ANONYMOUS = 0x22n;
/** `-1` in a register. */
const NONE = 0xffff_ffff_ffff_ffffn;
const PAGE = 4096;
/** Memory for the arguments of one call at most. */
const SCRATCH_OCTETS_MAX = 256 * PAGE;

/** What the thread is to call; arguments that are not placed are those of the trapped call. */
export interface RemoteCall {
  /** Undefined: the trapped call's own number. */
  readonly number?: number;
  readonly placed: readonly PlacedArgument[];
  readonly values?: readonly { readonly index: number; readonly value: bigint }[];
  /** A value for argument 5, which lets the call pass the filter. */
  readonly pass: bigint;
}

/** What a remote call came to. */
export type RemoteResult =
  | { readonly kind: "returned"; readonly value: bigint; readonly errno: number }
  | { readonly kind: "executed" }
  /** Nobody is there any more. */
  | { readonly kind: "gone" }
  /** The thread cannot be traced (EPERM: another tracer has it); it still waits for its answer. */
  | { readonly kind: "refused"; readonly errno: number };

/** Memory of the guest for `octets`; undefined when it has none to give. */
function allocate(thread: LedThread, octets: number): bigint | undefined {
  const args = [0n, BigInt(octets), PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, NONE, 0n];
  const address = thread.plain(thread.entry.mmap, args);
  return failureOf(address) === 0 ? address : undefined;
}

/**
 * Lets the caller of a trapped call make another one instead. Unless refused, the request is
 * answered by that.
 */
export function callRemotely(request: CallRequest, call: RemoteCall): RemoteResult {
  const { pid: tid, arch } = request;
  const args = [0, 1, 2, 3, 4].map((index) => request.argument(index));
  const number = call.number ?? request.number;
  const refused = seize(tid, TRACE_OPTION.SYSGOOD | TRACE_OPTION.EXEC);
  if (refused !== 0) return { kind: "refused", errno: refused };
  interrupt(tid);
  // The answer is never seen: the thread stops before it returns to its program.
  request.fail(ERRNO.EINTR);
  try {
    const thread = LedThread.interrupted(tid, arch);
    const { word } = thread.entry;
    const size = Math.ceil(placedOctets(call.placed, word) / PAGE) * PAGE;
    const fits = size <= SCRATCH_OCTETS_MAX;
    const scratch = size === 0 ? 0n : fits ? allocate(thread, size) : undefined;
    if (scratch === undefined) {
      return returned(thread, BigInt.asUintN(64, BigInt(-ERRNO.ENOMEM)));
    }
    const memory = layOut(call.placed, scratch, word, (index, address) => {
      args[index] = address;
    });
    for (const { index, value } of call.values ?? []) args[index] = value;
    if (size > 0) writeGuestMemory(tid, scratch, memory);
    const result = thread.call(number, [...args, call.pass]);
    if (typeof result !== "bigint") {
      if (!detach(result.executed, thread.stopSignal)) reap(result.executed);
      return { kind: "executed" };
    }
    if (size > 0) thread.plain(thread.entry.munmap, [scratch, BigInt(size)]);
    return returned(thread, result);
  } catch (error) {
    if (!(error instanceof Gone)) throw error;
    if (!(error instanceof Reaped)) reap(tid);
    return { kind: "gone" };
  }
}

function returned(thread: LedThread, value: bigint): RemoteResult {
  thread.end(value);
  if (!detach(thread.tid, thread.stopSignal)) throw new Gone();
  return { kind: "returned", value, errno: failureOf(value) };
}

/**
 * Rung C: a change of directory, a program, a descriptor of a mere name; only the guest can do it.
 * @param pass see `RemoteCall`
 */
export function leadNotified(request: CallRequest, instead: Instead, pass: bigint): Answer {
  const { after } = instead;
  const result = callRemotely(request, { ...instead, pass });
  if (result.kind === "refused") {
    after(result.errno);
    return { kind: "done", errno: result.errno };
  }
  after(result.kind === "returned" ? result.errno : 0);
  return { kind: "later" };
}
