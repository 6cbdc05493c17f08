/**
 * The calls that name files, answered by the supervisor: a thread that stands in the view takes the
 * caller's place (root, working directory, credentials, mask) with what it has copied out of the
 * caller's memory, performs the call, and gives the caller the result: a number, octets in its
 * memory, or a descriptor. The caller's kernel does nothing, so nothing can change between a
 * decision and what is done.
 */
import { ERRNO } from "../base/index.ts";
import {
  AT,
  closeDescriptor,
  FileCalls,
  GuestMemory,
  type NotifyListener,
  O,
  pidfdGetDescriptor,
  pidfdOpen,
  type Standpoint,
} from "../sys/index.ts";
import {
  AUDIT_ARCH_I386,
  AUDIT_ARCH_X86_64,
  inOldLayout,
  type OldLayout,
  type PathPolicy,
  type PathShape,
  pathShapes,
  type Trap,
  trappedCalls,
} from "../viewos/index.ts";
import { type Answer, CONTINUE, failure, SUCCESS } from "./answer.ts";
import { type Caller, Callers } from "./callers.ts";
import { CapturedPathCall } from "./captured-call.ts";
import { PathActs, type Starts } from "./path-acts.ts";
import { PathInputs } from "./path-inputs.ts";
import { PathResolver } from "./path-resolver.ts";

const GONE: Answer = failure(ERRNO.ESRCH);
const NO_START = -1;

/** Answers path calls; one for each thread that serves a view. */
export class PathCalls {
  readonly #shapes: ReadonlyMap<number, ReadonlyMap<number, PathShape>>;
  readonly #memory = new GuestMemory();
  readonly #callers: Callers;
  readonly #files = new FileCalls();
  readonly #resolver: PathResolver;
  readonly #acts: PathActs;
  readonly #inputs = new PathInputs();
  readonly #decides: boolean;
  readonly #captured = new CapturedPathCall();

  /**
   * The calling thread must stand in the view.
   * @param traps the calls among these are answered, others are not
   * @param policy is asked about every file; without one nothing is refused
   */
  constructor(standpoint: Standpoint, traps: readonly Trap[], policy?: PathPolicy) {
    this.#decides = policy !== undefined;
    this.#callers = new Callers(this.#files, standpoint.proc);
    this.#resolver = new PathResolver(this.#callers, standpoint.proc);
    this.#acts = new PathActs(this.#callers, this.#resolver, standpoint.proc, policy);
    this.#shapes = new Map(
      [AUDIT_ARCH_X86_64, AUDIT_ARCH_I386].map((arch) => {
        const trapped = new Set(trappedCalls(traps, arch).map((call) => call.number));
        return [arch, new Map([...pathShapes(arch)].filter(([number]) => trapped.has(number)))];
      }),
    );
  }

  /**
   * Copies a call; undefined when it names no file, or is one that only its own process can make.
   * What is returned is good until the next capture.
   */
  capture(request: NotifyListener): CapturedPathCall | undefined {
    const shape = this.#shapes.get(request.arch)?.get(request.number);
    if (shape === undefined || shape.operation === "kernel") return undefined;
    return this.#captured.read(request, shape, this.#memory) ? this.#captured : undefined;
  }

  /** Performs a captured call in the name of its caller, who still waits. */
  perform(request: NotifyListener, call: CapturedPathCall): Answer {
    const { shape } = call;
    if (shape.operation === "privileged") return failure(ERRNO.EPERM);
    if (shape.operation === "absent") return failure(ERRNO.ENOSYS);
    if (call.errno !== 0) return failure(call.errno);
    const unreadable = this.#inputs.read(request, shape, this.#memory);
    if (unreadable !== 0) return failure(unreadable);
    if (shape.operation === "open" && (this.#inputs.flags & O.PATH) !== 0) {
      // The kernel puts no such descriptor into another process. With the flag in a register it
      // makes nothing but a name, and every use of that is a call which is answered here again. In
      // memory the flag may change: programs have to do without openat2 then.
      if (shape.call.name === "openat2") return failure(ERRNO.ENOSYS);
      if (!this.#decides) return CONTINUE;
    }
    const caller = this.#callers.identify(call.pid);
    if (caller === undefined) return GONE;
    const starts = this.#starts(caller, call, request);
    try {
      const wrong = [starts.first, starts.second, starts.watch].find(isFailure);
      if (wrong !== undefined) return failure(-wrong);
      // All that was read was the caller's, if it still waits.
      return request.isValid() ? this.#inItsPlace(caller, call, starts) : GONE;
    } finally {
      for (const fd of [starts.first, starts.second, starts.watch]) {
        if (fd >= 0) this.#files.close(fd);
      }
      this.#callers.forget(caller);
    }
  }

  #starts(caller: Caller, call: CapturedPathCall, request: NotifyListener): Starts {
    const { shape, first, second } = call;
    const of = (path: typeof first): number =>
      this.#resolver.start(caller, path.directory, path.octets);
    return {
      first: shape.first.path === -1 ? NO_START : of(first),
      second: shape.second === undefined ? NO_START : of(second),
      watch: shape.operation === "watch" ? this.#copyOf(caller, request.low(0) | 0) : NO_START,
    };
  }

  /** A copy of a descriptor of the caller's, or the negative errno. */
  #copyOf(caller: Caller, theirs: number): number {
    const pidfd = pidfdOpen(caller.tgid);
    if (pidfd < 0) return -ERRNO.ESRCH;
    const ours = pidfdGetDescriptor(pidfd, theirs);
    closeDescriptor(pidfd);
    return ours < 0 ? -ERRNO.EBADF : ours;
  }

  #inItsPlace(caller: Caller, call: CapturedPathCall, starts: Starts): Answer {
    const { operation } = call.shape;
    let result: number;
    this.#acts.outputLength = 0;
    try {
      if (!this.#callers.enter(caller, operation === "access")) return failure(ERRNO.EPERM);
      if (MAKES.has(operation)) this.#callers.mask(caller);
      result =
        operation === "open"
          ? this.#acts.open(caller, call, this.#inputs, starts.first)
          : this.#acts.perform(caller, call, this.#inputs, starts);
    } finally {
      this.#callers.leave();
    }
    if (operation === "open" && result >= 0) {
      if ((this.#inputs.flags & O.PATH) !== 0) {
        this.#files.close(result);
        return CONTINUE;
      }
      const closeOnExec = (this.#inputs.flags & O.CLOEXEC) !== 0;
      return { kind: "descriptor", descriptor: result, closeOnExec };
    }
    return this.#finish(call, result);
  }

  /** Writes what the call gives into the caller's memory. */
  #finish(call: CapturedPathCall, result: number): Answer {
    const acts = this.#acts;
    const handle = call.shape.operation === "handle";
    if (acts.outputLength > 0) {
      const given = acts.output.subarray(0, acts.outputLength);
      const octets = call.shape.compatible ? this.#compatible(call.shape, given) : given;
      if (octets === undefined) return failure(ERRNO.EOVERFLOW);
      if (!this.#memory.write(call.pid, this.#inputs.output, octets)) {
        return failure(ERRNO.EFAULT);
      }
    }
    if (handle && (result === 0 || result === -ERRNO.EOVERFLOW)) {
      const AT_HANDLE_MNT_ID_UNIQUE = 1;
      const length = (call.flags & AT_HANDLE_MNT_ID_UNIQUE) === 0 ? 4 : 8;
      const { mountNumber } = acts;
      if (!this.#memory.write(call.pid, this.#inputs.output2, mountNumber, length)) {
        return failure(ERRNO.EFAULT);
      }
    }
    if (result < 0) return failure(-result);
    return result === 0 ? SUCCESS : { kind: "value", value: BigInt(result) };
  }

  /** The layout that a 32-bit caller expects. */
  #compatible(shape: PathShape, given: Uint8Array): Uint8Array | undefined {
    const { operation, call } = shape;
    if (operation === "statfs") {
      const wide = call.name === "statfs64";
      if (wide && this.#inputs.size !== 84 && this.#inputs.size !== 88) return undefined;
      return inOldLayout(given, wide ? "statfs64" : "statfs");
    }
    if (operation !== "stat" || call.name === "statx") return given;
    const layout: OldLayout = call.name.startsWith("old")
      ? "oldstat"
      : call.name.endsWith("64")
        ? "stat64"
        : "stat";
    return inOldLayout(given, layout);
  }
}

const isFailure = (start: number): boolean => start < NO_START && start !== AT.FDCWD;

/** Operations whose new files get the caller's mask. */
const MAKES: ReadonlySet<string> = new Set(["open", "mkdir", "mknod"]);
