/**
 * `emulate()` of calls that name no file by a path: what the handler has seen is performed by a
 * deputy, on a copy of the caller's descriptor, with the caller's rights.
 */
import { closeSync, readFileSync } from "node:fs";
import { ERRNO } from "../../base/index.ts";
import {
  closeDescriptor,
  errno,
  type GuestMemory,
  type CallRequest,
  pidfdGetDescriptor,
  pidfdOpen,
  type Standpoint,
} from "../../sys/index.ts";
import { AUDIT_ARCH_X86_64, type Operation, type TakenCall } from "../../viewos/index.ts";
import { type Answer, CONTINUE, failure, LATER } from "../calls/answer.ts";
import type { ForeignIds } from "../calls/foreign-ids.ts";
import type { ClockCall, DeputyAct, DeputyCall } from "../calls/deputies.ts";
import { type Caller, callerOf } from "../paths/caller.ts";

const CAP_SETGID = 1 << 6;
/** struct sockaddr_storage: nothing longer is an address. */
const ADDRESS_OCTETS_MAX = 128;
const TIMESPEC_OCTETS = 16;
const TIMEZONE_OCTETS = 8;
/** struct timex of 64-bit programs, and of 32-bit ones in its newer form. */
const TIMEX_OCTETS = 208;
/** What the kernel says of an id that the user namespace has not. */
const INVALID = failure(ERRNO.EINVAL);
const SHORT_ID_NONE = 0xffff;
const ID_NONE = 0xffffffff;

/** What surrounds the calls. */
export interface EmulatedCallsHelp {
  readonly memory: GuestMemory;
  readonly standpoint: Standpoint;
  /** What the view says of ids that it has not. */
  readonly foreign: ForeignIds;
  /** Has a deputy perform a call, and answer it. */
  readonly depute: (call: DeputyCall) => void;
}

/** The calls. */
export class EmulatedCalls {
  readonly #help: EmulatedCallsHelp;

  constructor(help: EmulatedCallsHelp) {
    this.#help = help;
  }

  /** @returns ENOSYS when only the caller itself could do that. */
  emulate(request: CallRequest, operation: Operation, taken: TakenCall): Answer {
    switch (operation) {
      case "connect":
      case "bind":
        return this.#address(request, operation, taken);
      case "chown":
        return this.#owner(request, taken);
      case "settime":
        return this.#time(request, taken);
      case "setid":
        return this.#groups(request, taken);
      default:
        return failure(ERRNO.ENOSYS);
    }
  }

  #address(request: CallRequest, kind: "connect" | "bind", taken: TakenCall): Answer {
    const length = taken.low(2);
    const address = taken.captured[1] ?? new Uint8Array(0);
    // Order of the kernel: the descriptor, the length, the memory.
    return this.#withDescriptor(request, taken.low(0), () => {
      if (length > ADDRESS_OCTETS_MAX) return ERRNO.EINVAL;
      if (!(address instanceof Uint8Array) || address.length !== length) return ERRNO.EFAULT;
      return { kind, address };
    });
  }

  /** fchown(2); the calls with paths are not ours. */
  #owner(request: CallRequest, taken: TakenCall): Answer {
    const { name, arguments: kinds } = taken.call;
    if (!name.startsWith("fchown") || kinds.includes("path")) return failure(ERRNO.ENOSYS);
    const isShort = name === "fchown" && taken.arch !== AUDIT_ARCH_X86_64;
    const id = (index: number): number => {
      const given = taken.low(index);
      if (!isShort) return given;
      return (given & SHORT_ID_NONE) === SHORT_ID_NONE ? ID_NONE : given & SHORT_ID_NONE;
    };
    return this.#withDescriptor(request, taken.low(0), () => {
      const invalid = this.#help.foreign.corrected(request, INVALID);
      const noId = invalid.kind === "done" ? invalid.errno : ERRNO.EINVAL;
      return { kind: "chown", uid: id(1), gid: id(2), noId };
    });
  }

  #time(request: CallRequest, taken: TakenCall): Answer {
    const call = this.#clockCall(request.pid, taken);
    if (typeof call === "number") return failure(call);
    return this.#depute(request, -1, { kind: "clock", call }, this.#caller(request.pid));
  }

  /** What a call that sets a clock reads, in the layout of x86_64; or an errno. */
  #clockCall(pid: number, taken: TakenCall): ClockCall | number {
    const { call, arch } = taken;
    const name = call.name.replace(/64$/, "");
    const isWide = arch === AUDIT_ARCH_X86_64 || call.name !== name;
    const onClock = name === "clock_settime" || name === "clock_adjtime";
    const adjusts = name === "clock_adjtime" || name === "adjtimex";
    const clock = onClock ? taken.low(0) | 0 : 0;
    const at = taken.argument(onClock ? 1 : 0);
    const octets = adjusts ? TIMEX_OCTETS : TIMESPEC_OCTETS;
    if (!isWide && (adjusts || name === "stime")) return ERRNO.ENOSYS;
    const time = this.#structure(pid, at, isWide ? octets : octets / 2);
    const zoneAt = name === "settimeofday" ? taken.argument(1) : 0n;
    const zone = this.#structure(pid, zoneAt, TIMEZONE_OCTETS);
    if (time === undefined || zone === undefined) return ERRNO.EFAULT;
    if (time === null && name !== "settimeofday") return ERRNO.EFAULT;
    const wide = isWide || time === null ? time : widened(time);
    return { name, clock, time: wide, zone, back: adjusts ? at : undefined };
  }

  /** Octets of the caller's memory; null for a null pointer, undefined when they cannot be read. */
  #structure(pid: number, address: bigint, length: number): Uint8Array | null | undefined {
    return address === 0n ? null : this.#help.memory.octets(pid, address, length)?.slice();
  }

  /**
   * setgroups(2) reads the caller's memory. Without the right to it, what is there does not matter;
   * with it only the caller can do it.
   */
  #groups(request: CallRequest, taken: TakenCall): Answer {
    if (!taken.call.name.startsWith("setgroups")) return failure(ERRNO.ENOSYS);
    const caller = this.#caller(request.pid, true);
    if (caller === undefined || !request.isValid()) return failure(ERRNO.ESRCH);
    if ((caller.effective[0] & CAP_SETGID) === 0) return failure(ERRNO.EPERM);
    return taken.low(0) === 0 ? CONTINUE : failure(ERRNO.ENOSYS);
  }

  /** @param ours its capabilities count, whatever user namespace they are of */
  #caller(pid: number, ours = this.#isInOurNamespace(pid)): Caller | undefined {
    const fd = this.#help.standpoint.openProc(`${pid}/status`);
    if (fd === -1) return undefined;
    try {
      return callerOf(pid, readFileSync(fd, "latin1"), ours, -1);
    } catch {
      // It has ended since.
      return undefined;
    } finally {
      closeSync(fd);
    }
  }

  /** Capabilities of another user namespace say nothing here. */
  #isInOurNamespace(pid: number): boolean {
    const { standpoint } = this.#help;
    return standpoint.namespaceOf(pid, "user") === standpoint.namespaceOf(process.pid, "user");
  }

  /** @param act what to do with it, or the errno that comes after EBADF */
  #withDescriptor(request: CallRequest, theirs: number, act: () => DeputyAct | number): Answer {
    const caller = this.#caller(request.pid);
    if (caller === undefined) return failure(ERRNO.ESRCH);
    const pidfd = pidfdOpen(caller.tgid);
    if (pidfd < 0) return failure(ERRNO.ESRCH);
    const ours = pidfdGetDescriptor(pidfd, theirs);
    const refusal = errno();
    closeDescriptor(pidfd);
    if (ours < 0) return failure(refusal);
    const found = act();
    if (typeof found !== "number") return this.#depute(request, ours, found, caller);
    closeDescriptor(ours);
    return failure(found);
  }

  #depute(
    request: CallRequest,
    descriptor: number,
    act: DeputyAct,
    caller: Caller | undefined,
  ): Answer {
    // What was read may be another's when the caller has been killed meanwhile.
    if (caller === undefined || !request.isValid()) {
      if (descriptor >= 0) closeDescriptor(descriptor);
      return failure(ERRNO.ESRCH);
    }
    const { descriptor: listener, id, isTraced } = request;
    this.#help.depute({ listener, id, isTraced, caller, descriptor, act });
    return LATER;
  }
}

/** Two words of 32 bits as two of 64. */
function widened(octets: Uint8Array): Uint8Array {
  const from = new DataView(octets.buffer, octets.byteOffset, octets.length);
  const to = new DataView(new ArrayBuffer(2 * octets.length));
  for (let at = 0; at < octets.length; at += 4) {
    to.setBigInt64(2 * at, BigInt(from.getInt32(at, true)), true);
  }
  return new Uint8Array(to.buffer);
}
