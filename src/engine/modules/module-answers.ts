/** What a module's decision about a call comes to: the reply to its caller. */
import { ERRNO } from "../../base/index.ts";
import { type GuestMemory, memoryFile, type CallRequest, O } from "../../sys/index.ts";
import {
  AUDIT_ARCH_I386,
  type Decision,
  emitStat,
  emitStatx,
  emitUtsName,
  inOldLayout,
  type OfferedCall,
  opensForWriting,
  type Operation,
  type OperationFields,
  type OtherPaths,
  type PathFields,
  type TakenCall,
  type UtsName,
  type VirtualStat,
} from "../../viewos/index.ts";
import { type Answer, failure, SUCCESS } from "../calls/answer.ts";
import { ForeignIds } from "../calls/foreign-ids.ts";
import type { CapturedPathCall } from "../calls/captured-call.ts";
import { EmulatedCalls, type EmulatedCallsHelp } from "./emulated-calls.ts";
import type { ModulePaths, NamedFiles } from "./module-paths.ts";

/** A call that has been decided; its caller still waits. */
export interface DecidedCall {
  readonly request: CallRequest;
  readonly taken: TakenCall;
  readonly offered: OfferedCall;
  /** When it names files that the path engine finds. */
  readonly named: CapturedPathCall | undefined;
  readonly files: NamedFiles | undefined;
  readonly tries: number;
}

/** Calls whose arguments are all in registers: what the kernel sees is what the module has seen. */
const IN_REGISTERS: ReadonlySet<string> = new Set<Operation>(["socket", "setid"]);

/** Turns decisions into answers. */
export class ModuleAnswers {
  readonly #memory: GuestMemory;
  readonly #perform: (request: CallRequest) => Answer;
  readonly #emulated: EmulatedCalls;
  readonly #foreign: ForeignIds;

  /**
   * @param how to perform a call as if there were no modules
   */
  constructor(
    memory: GuestMemory,
    how: {
      readonly perform: (request: CallRequest) => Answer;
    } & Omit<EmulatedCallsHelp, "memory" | "foreign">,
  ) {
    this.#foreign = new ForeignIds(how.standpoint);
    this.#emulated = new EmulatedCalls({ ...how, memory, foreign: this.#foreign });
    this.#memory = memory;
    this.#perform = how.perform;
  }

  /**
   * @param paths performs calls that name files
   * @returns "moved" when the files of the call are others by now than the decision was about
   */
  answer(call: DecidedCall, decision: Decision, paths: ModulePaths | undefined): Answer | "moved" {
    switch (decision.kind) {
      case "fail":
        return failure(decision.errno);
      case "pass":
        return this.#perform(call.request);
      case "emulate":
        return this.#emulate(call, decision, paths);
      default:
        return this.#reply(call, decision.value);
    }
  }

  #emulate(
    { request, taken, offered, named, files }: DecidedCall,
    others: OtherPaths,
    paths: ModulePaths | undefined,
  ): Answer | "moved" {
    const { operation } = offered;
    if (named !== undefined && files !== undefined) {
      const writes = (offered.fields as Partial<OperationFields["open"]>).write ?? true;
      const answer = paths!.perform(request, named, files, writes, others);
      return answer === undefined ? "moved" : this.#foreign.corrected(request, answer);
    }
    if (operation === "uname") {
      const { names } = offered.fields as OperationFields["uname"];
      return this.#write(request, taken, emitUtsName(taken.call.name, names));
    }
    const inMemory = taken.call.name === "setgroups" || taken.call.number !== request.number;
    if (IN_REGISTERS.has(operation) && !inMemory) return this.#perform(request);
    return this.#emulated.emulate(request, operation, taken);
  }

  #reply({ request, taken, offered }: DecidedCall, value: unknown): Answer {
    switch (offered.operation) {
      case "uname": {
        const { names } = offered.fields as OperationFields["uname"];
        const changed = { ...names, ...(value as Partial<UtsName>) };
        return this.#write(request, taken, emitUtsName(taken.call.name, changed));
      }
      case "open":
        return openContent(offered.fields as OperationFields["open"], value as string | Uint8Array);
      case "stat":
        return this.#stat(request, taken, offered.fields as PathFields, value as VirtualStat);
      case "readlink":
        return this.#link(request, taken, value as string);
      default:
        return SUCCESS;
    }
  }

  /** Fills the structure that an argument points to. */
  #write(request: CallRequest, taken: TakenCall, octets: Uint8Array, at = 0): Answer {
    if (!request.isValid()) return failure(ERRNO.ESRCH);
    const written = this.#memory.writeOctets(request.pid, taken.argument(at), octets);
    return written ? SUCCESS : failure(ERRNO.EFAULT);
  }

  #stat(request: CallRequest, taken: TakenCall, { path }: PathFields, stat: VirtualStat): Answer {
    const { name, arguments: kinds, arch } = taken.call;
    const at = kinds === "words" ? 0 : kinds.indexOf("pointer");
    if (name === "statx") return this.#write(request, taken, emitStatx(path, stat), at);
    const octets = emitStat(path, stat);
    if (arch !== AUDIT_ARCH_I386) return this.#write(request, taken, octets, at);
    const layout = name.startsWith("old") ? "oldstat" : name.endsWith("64") ? "stat64" : "stat";
    const old = inOldLayout(octets, layout);
    return old === undefined ? failure(ERRNO.EOVERFLOW) : this.#write(request, taken, old, at);
  }

  /** readlink(2): buffer and size are the last two arguments; what does not fit is cut. */
  #link(request: CallRequest, taken: TakenCall, target: string): Answer {
    const at = taken.call.name === "readlink" ? 1 : 2;
    const size = taken.low(at + 1) | 0;
    if (size <= 0) return failure(ERRNO.EINVAL);
    const octets = new TextEncoder().encode(target).subarray(0, size);
    if (!request.isValid()) return failure(ERRNO.ESRCH);
    const written = this.#memory.writeOctets(request.pid, taken.argument(at), octets);
    return written ? { kind: "value", value: BigInt(octets.length) } : failure(ERRNO.EFAULT);
  }
}

/** A file with that content, for reading. */
function openContent(fields: OperationFields["open"], content: string | Uint8Array): Answer {
  if (opensForWriting(fields.flags)) return failure(ERRNO.EROFS);
  const octets = typeof content === "string" ? new TextEncoder().encode(content) : content;
  const descriptor = memoryFile(fields.path, octets);
  return { kind: "descriptor", descriptor, closeOnExec: (fields.flags & O.CLOEXEC) !== 0 };
}
