/**
 * The calls that name files, answered by the supervisor: a thread that stands in the view takes the
 * caller's place (root, working directory, credentials, mask) with what it has copied out of the
 * caller's memory, performs the call, and gives the caller the result: a number, octets in its
 * memory, or a descriptor. The caller's kernel does nothing, so nothing can change between a
 * decision and what is done.
 */
import { ERRNO } from "../../base/index.ts";
import {
  AT,
  closeDescriptor,
  type FileCalls,
  GuestMemory,
  MemoryBlock,
  type CallRequest,
  O,
  pidfdGetDescriptor,
  pidfdOpen,
  type Standpoint,
  threadId,
} from "../../sys/index.ts";
import {
  AUDIT_ARCH_I386,
  AUDIT_ARCH_X86_64,
  callerChanges,
  inOldLayout,
  type OldLayout,
  type PathPolicy,
  type PathShape,
  pathShapes,
  type Trap,
  trappedCalls,
} from "../../viewos/index.ts";
import { type Answer, CONTINUE, failure, LATER, SUCCESS } from "../calls/answer.ts";
import type { Caller } from "./caller.ts";
import { Callers } from "./callers.ts";
import { CapturedPathCall } from "../calls/captured-call.ts";
import { LEFT, PathActs, type Starts } from "./path-acts.ts";
import type { DeputyCall } from "../calls/deputies.ts";
import { PathInputs } from "./path-inputs.ts";
import { PathResolver } from "./path-resolver.ts";
import { interruptedErrno, type Relief } from "../calls/relief.ts";

const GONE: Answer = failure(ERRNO.ESRCH);
const NO_START = -1;
const FORGET_MS = 100;

/** Answers path calls; one for each thread that serves a view. */
export class PathCalls {
  readonly #shapes: ReadonlyMap<number, ReadonlyMap<number, PathShape>>;
  readonly #changes: ReadonlyMap<number, ReadonlyMap<number, string>>;
  readonly #memory = new GuestMemory();
  readonly #callers: Callers;
  readonly #files: FileCalls;
  readonly #resolver: PathResolver;
  readonly #acts: PathActs;
  readonly #nothing = new MemoryBlock(1);
  readonly #inputs = new PathInputs();
  readonly #relief: Relief | undefined;
  /** A policy is asked about every file. */
  readonly decides: boolean;
  readonly #captured = new CapturedPathCall();
  #depute: ((call: DeputyCall) => void) | undefined;

  /**
   * The calling thread must stand in the view.
   * @param traps the calls among these are answered, others are not
   * @param policy is asked about every file; without one nothing is refused
   * @param relief what others do while a call blocks this thread
   * @param first process from which all callers descend, if that is known
   */
  constructor(
    standpoint: Standpoint,
    traps: readonly Trap[],
    policy?: PathPolicy,
    relief?: Relief,
    first?: number,
  ) {
    this.#relief = relief;
    relief?.sit(threadId());
    this.decides = policy !== undefined;
    this.#callers = new Callers(standpoint.proc, first, relief);
    this.#files = this.#callers.files;
    this.#resolver = new PathResolver(this.#callers, standpoint.proc);
    this.#acts = new PathActs(this.#callers, this.#resolver, standpoint.proc, policy);
    this.#shapes = new Map(
      [AUDIT_ARCH_X86_64, AUDIT_ARCH_I386].map((arch) => {
        const trapped = new Set(trappedCalls(traps, arch).map((call) => call.number));
        const shapes = [...pathShapes(arch)].filter(
          ([number, { operation }]) => trapped.has(number) && operation !== "kernel",
        );
        return [arch, new Map(shapes)];
      }),
    );
    this.#changes = new Map(
      [AUDIT_ARCH_X86_64, AUDIT_ARCH_I386].map((arch) => [arch, callerChanges(arch)]),
    );
  }

  /**
   * Copies a call; undefined when it names no file, or is one that only its own process can make.
   * What is returned is good until the next capture.
   */
  capture(request: CallRequest): CapturedPathCall | undefined {
    const shape = this.#shapes.get(request.arch)?.get(request.number);
    if (shape === undefined) {
      this.notice(request);
      return undefined;
    }
    return this.#captured.read(request, shape, this.#memory) ? this.#captured : undefined;
  }

  /** Takes note of a call that changes who its caller is for files. */
  notice(request: CallRequest): void {
    const change = this.#changes.get(request.arch)?.get(request.number);
    if (change !== undefined) this.#callers.changes(request, change);
  }

  /** Opens that may wait for another process are given to deputies from now on. */
  leaveWaiting(depute: (call: DeputyCall) => void): void {
    this.#depute = depute;
    this.#acts.leavesWaiting = true;
  }

  /** Performs a captured call in the name of its caller, who still waits. */
  perform(request: CallRequest, call: CapturedPathCall): Answer {
    this.#relief?.begin(request);
    try {
      return this.#perform(request, call);
    } finally {
      this.#relief?.end();
    }
  }

  /** How long anything is remembered of callers; then, or before a mount, comes `forget`. */
  get forgetAfterMs(): number {
    return FORGET_MS;
  }

  /** Our thread is itself again. */
  rest(): void {
    this.#callers.standIn.rest();
  }

  /** Nothing is remembered, and no directory is kept busy. */
  forget(): void {
    this.rest();
    this.#callers.forgetAll();
  }

  #perform(request: CallRequest, call: CapturedPathCall): Answer {
    const { shape } = call;
    if (shape.operation === "privileged") return failure(ERRNO.EPERM);
    if (shape.operation === "absent") return failure(ERRNO.ENOSYS);
    const wrong = this.#inputs.read(request, shape, this.#memory);
    if (call.errno !== 0) return failure(this.#earlier(shape, wrong) ?? call.errno);
    if (wrong !== 0) return failure(wrong);
    if (shape.operation === "open" && (this.#inputs.flags & O.PATH) !== 0) {
      // The kernel puts no such descriptor into another process. With the flag in a register it
      // makes nothing but a name, and every use of that is a call which is answered here again. In
      // memory the flag may change: programs have to do without openat2 then.
      if (shape.call.name === "openat2") return failure(ERRNO.ENOSYS);
      if (!this.decides) return CONTINUE;
    }
    const caller = this.#callers.identify(call.pid);
    if (caller === undefined) return GONE;
    const starts = this.#starts(caller, call, request);
    try {
      const wrong = [starts.first, starts.second, starts.watch].find(isFailure);
      if (wrong !== undefined) return failure(-wrong);
      // All that was read was the caller's, if it still waits.
      return request.isValid() ? this.#inItsPlace(caller, call, starts, request) : GONE;
    } finally {
      this.#resolver.end(caller, starts.first);
      this.#resolver.end(caller, starts.second);
      if (starts.watch >= 0) this.#files.close(starts.watch);
      this.#callers.release(caller);
    }
  }

  /** What the kernel would have complained about before it came to the path. */
  #earlier(shape: PathShape, wrong: number): number | undefined {
    if (shape.operation === "readlink" && wrong === ERRNO.EINVAL) return wrong;
    if (shape.operation !== "open") return undefined;
    if (wrong !== 0) return wrong;
    // With an empty path the kernel looks at nothing but the flags.
    const { flags, mode, resolve } = this.#inputs;
    const tried = this.#files.openat2(AT.FDCWD, this.#nothing, flags, mode, resolve);
    return tried === -ERRNO.EINVAL ? ERRNO.EINVAL : undefined;
  }

  #starts(caller: Caller, call: CapturedPathCall, request: CallRequest): Starts {
    const { shape, first, second } = call;
    const of = (path: typeof first): number =>
      this.#resolver.start(caller, path.directory, path.text);
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

  #inItsPlace(
    caller: Caller,
    call: CapturedPathCall,
    starts: Starts,
    request: CallRequest,
  ): Answer {
    const { operation } = call.shape;
    const { standIn } = this.#callers;
    let result: number;
    this.#acts.outputLength = 0;
    try {
      if (!standIn.become(caller, operation === "access")) {
        standIn.rest();
        return failure(ERRNO.EPERM);
      }
      if (MAKES.has(operation)) standIn.mask(caller.umask);
      result =
        operation === "open"
          ? this.#acts.open(caller, call, this.#inputs, starts.first)
          : this.#acts.perform(caller, call, this.#inputs, starts);
    } finally {
      standIn.after();
    }
    if (result === -LEFT) return this.#leave(caller, request);
    if (operation === "open" && result >= 0) {
      if ((this.#inputs.flags & O.PATH) !== 0) return CONTINUE;
      const closeOnExec = (this.#inputs.flags & O.CLOEXEC) !== 0;
      return { kind: "descriptor", descriptor: result, closeOnExec };
    }
    if (result === -ERRNO.EINTR) return failure(interruptedErrno(this.#callers.status(call.pid)));
    return this.#finish(call, result);
  }

  /** Another thread opens what may block this one. */
  #leave(caller: Caller, request: CallRequest): Answer {
    const { file, flags } = this.#acts.left;
    this.#acts.left = { file: -1, flags: 0 };
    const inPlace = { ...caller, root: -1, directory: -1 };
    const { descriptor: listener, id, isTraced } = request;
    const closeOnExec = (this.#inputs.flags & O.CLOEXEC) !== 0;
    const act = { kind: "open", flags, closeOnExec } as const;
    this.#depute!({ listener, id, isTraced, caller: inPlace, descriptor: file, act });
    return LATER;
  }

  /** Writes what the call gives into the caller's memory. */
  #finish(call: CapturedPathCall, result: number): Answer {
    const acts = this.#acts;
    const handle = call.shape.operation === "handle";
    if (acts.outputLength > 0) {
      if (call.shape.compatible && !this.#toOldLayout(call.shape)) return failure(ERRNO.EOVERFLOW);
      const { output, outputLength } = acts;
      if (!this.#memory.write(call.pid, this.#inputs.output, output, outputLength)) {
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

  /** Puts the layout that a 32-bit caller expects in place of ours; false: it does not fit. */
  #toOldLayout(shape: PathShape): boolean {
    const { operation, call } = shape;
    const isStat = operation === "stat" && call.name !== "statx";
    if (!isStat && operation !== "statfs") return true;
    const { octets } = this.#acts.output;
    const old = inOldLayout(octets.subarray(0, this.#acts.outputLength), oldLayout(shape));
    if (old === undefined) return false;
    octets.set(old);
    this.#acts.outputLength = old.length;
    return true;
  }
}

function oldLayout({ operation, call: { name } }: PathShape): OldLayout {
  if (operation === "statfs") return name === "statfs64" ? "statfs64" : "statfs";
  if (name.startsWith("old")) return "oldstat";
  return name.endsWith("64") ? "stat64" : "stat";
}

const isFailure = (start: number): boolean => start < NO_START && start !== AT.FDCWD;

/** Operations whose new files get the caller's mask. */
const MAKES: ReadonlySet<string> = new Set(["open", "mkdir", "mknod"]);
