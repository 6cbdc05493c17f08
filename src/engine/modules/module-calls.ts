/**
 * The notify worker's side of modules: takes a call that a module wants, once, sends it to the
 * module thread, and answers it when the decision comes. Meanwhile other calls are served.
 */
import { type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import { ERRNO } from "../../base/index.ts";
import {
  GuestMemory,
  hearBell,
  type CallRequest,
  type Standpoint,
  utsname,
} from "../../sys/index.ts";
import {
  AUDIT_ARCH_I386,
  AUDIT_ARCH_X86_64,
  type CallPlace,
  captureArguments,
  type Decision,
  isAboutPaths,
  type Operation,
  operationFields,
  type OperationFields,
  OperationTable,
  parseUtsName,
  socketcallName,
  SyscallTable,
  type TakenCall,
  undecided,
  type Verdict,
  withDecision,
} from "../../viewos/index.ts";
import { type Answer, failure, LATER, reply } from "../calls/answer.ts";
import { type DecidedCall, ModuleAnswers } from "./module-answers.ts";
import type { CapturedPathCall } from "../calls/captured-call.ts";
import type { GroundId, Grounds } from "../calls/grounds.ts";
import type { DeputyCall } from "../calls/deputies.ts";
import type { ModuleMounts } from "./module-mounts.ts";
import { ModulePaths, type NamedFiles } from "./module-paths.ts";
import type { ModuleSurroundings } from "./module-surroundings.ts";
import type { CallMessage, DecisionMessage, ModulesMessage } from "./module-messages.ts";
import { ModuleTurns, type Turn } from "./module-turns.ts";

/** Calls that wait for modules at once; further ones fail with EAGAIN. */
const PENDING_MAX = 4096;
/** Decisions about one call whose files are moved meanwhile. */
const TRIES_MAX = 8;
/** How much longer than its own limits the module thread is given to say so. */
const GRACE_MS = 1000;
/** Arguments of socketcall(2) in memory: six words of 32 bits. */
const SOCKETCALL_OCTETS = 24;

/** A call that waits for a decision. */
interface PendingCall extends DecidedCall {
  /** The modules of its view when it was taken. */
  readonly turns: ModuleTurns;
  readonly turn: Turn;
  /** What has been decided before this turn. */
  readonly verdict: Verdict;
  readonly message: CallMessage;
  deadlineMs: number;
}

/** A call that has been read. */
interface TakenOver {
  readonly request: CallRequest;
  readonly taken: TakenCall;
  readonly operation: Operation;
  /** When it names files that the path engine finds. */
  readonly named: CapturedPathCall | undefined;
  readonly turns: ModuleTurns;
}

/** What the loop around us does. */
export interface ModuleCallsOptions {
  readonly control: MessagePort;
  /** Rung when there is something on `control` or from the module thread. */
  readonly bell: number;
  readonly standpoint: Standpoint;
  readonly grounds: Grounds;
  readonly surroundings: ModuleSurroundings;
  readonly mounts: ModuleMounts;
  /** Performs a call as if there were no handlers. */
  readonly perform: (request: CallRequest) => Answer;
  /** Has a deputy perform a call, and answer it. */
  readonly depute: (call: DeputyCall) => void;
  /** The modules of these homes have not decided a call in time. */
  readonly onLate: (homes: readonly number[]) => void;
}

/** Calls of a view that modules decide. */
export class ModuleCalls {
  readonly #options: ModuleCallsOptions;
  readonly #memory = new GuestMemory();
  readonly #operations = new OperationTable();
  readonly #tables = new Map(
    [AUDIT_ARCH_X86_64, AUDIT_ARCH_I386].map((arch) => [arch, new SyscallTable(arch)]),
  );
  readonly #pending = new Map<number, PendingCall>();
  readonly #answers: ModuleAnswers;
  /** By the ground of the view; undefined: the outermost one. */
  #views = new Map<GroundId | undefined, ModuleTurns>([[undefined, new ModuleTurns([])]]);
  /** Operations that a module of some view wants. */
  #wanted = new Set<Operation>();
  /** Module threads by their homes. */
  readonly #threads = new Map<number, MessagePort>();
  #sequence = 0;
  /** What performs path calls, by the ground that it was made on: it returns to the root there. */
  readonly #paths = new Map<GroundId | undefined, ModulePaths>();
  #wantsPaths = false;

  constructor(options: ModuleCallsOptions) {
    this.#options = options;
    this.#answers = new ModuleAnswers(this.#memory, options);
  }

  get bell(): number {
    return this.#options.bell;
  }

  /** No module wants any call. */
  get isEmpty(): boolean {
    return this.#wanted.size === 0;
  }

  /** How long a wait may last until a call is late; -1: for ever. */
  waitMs(): number {
    if (this.#pending.size === 0) return -1;
    let next = Infinity;
    for (const { deadlineMs } of this.#pending.values()) next = Math.min(next, deadlineMs);
    return Math.max(0, Math.ceil(next - performance.now()));
  }

  /** Takes a call that a module wants; undefined: none does. */
  offer(request: CallRequest): Answer | undefined {
    const call = this.#tables.get(request.arch)?.numbered(request.number);
    if (call === undefined) return undefined;
    if (call.name === "io_uring_setup") {
      return this.#turnsOf(request.pid).areHidden ? failure(ERRNO.ENOSYS) : undefined;
    }
    const operation = this.#operationOf(request, call.name);
    if (operation === undefined || !this.#wanted.has(operation)) return undefined;
    const turns = this.#turnsOf(request.pid);
    if (!turns.operations.has(operation)) return undefined;
    const paths = this.#pathsOf(request.pid);
    const named = paths?.capture(request);
    const taken = this.#take(request, named === undefined);
    if (taken === undefined) return failure(ERRNO.EFAULT);
    return this.#offer({ request, taken, operation, named, turns }, paths, 0);
  }

  /** The modules of the view that a process is in. */
  #turnsOf(pid: number): ModuleTurns {
    const { grounds, standpoint } = this.#options;
    const ground = this.#views.size === 1 ? undefined : grounds.of(pid, standpoint)?.mnt;
    return grounds.nearest(this.#views, ground);
  }

  /**
   * @param paths of the caller's view, where we stand
   * @param tries how often it has been decided about, each time on other files
   */
  #offer(
    { request, taken, operation, named, turns }: TakenOver,
    paths: ModulePaths | undefined,
    tries: number,
  ): Answer | undefined {
    const place = this.#place(request, named === undefined);
    let fields: OperationFields[Operation] = operationFields(operation, taken, place);
    let files: NamedFiles | undefined;
    if (named !== undefined) {
      const wants = (found: NamedFiles): boolean =>
        turns.next(operation, { ...fields, ...found }) !== undefined;
      const offered = paths!.offer(request, named, wants);
      if (offered.answer !== undefined) return offered.answer;
      ({ files } = offered);
      fields = { ...fields, ...files };
    }
    const turn = turns.next(operation, fields);
    if (turn === undefined) return undefined;
    // What was read may be another's when the caller has been killed meanwhile.
    if (!request.isValid()) return failure(ERRNO.ESRCH);
    if (this.#pending.size >= PENDING_MAX || tries > TRIES_MAX) return failure(ERRNO.EAGAIN);
    const offered = { operation, pid: request.pid, fields };
    const call = { request: request.held(), taken, offered, named, files, tries };
    this.#ask(call, turns, turn, undecided(fields));
    return LATER;
  }

  /** The bell has rung: takes what there is. */
  hear(): void {
    hearBell(this.#options.bell);
    for (;;) {
      const control = receiveMessageOnPort(this.#options.control);
      if (control === undefined) break;
      this.#change(control.message as ModulesMessage);
    }
    for (const calls of this.#threads.values()) {
      for (;;) {
        const decided = receiveMessageOnPort(calls);
        if (decided === undefined) break;
        const { sequence, decision } = decided.message as DecisionMessage;
        this.#decided(sequence, decision);
      }
    }
  }

  /** Fails the calls whose time is over. */
  expire(): void {
    const now = performance.now();
    const late = new Set<number>();
    for (const [sequence, { deadlineMs, turn }] of this.#pending) {
      if (deadlineMs > now) continue;
      late.add(turn.home);
      this.#decided(sequence, { kind: "fail", errno: ERRNO.ETIMEDOUT });
    }
    if (late.size > 0) this.#options.onLate([...late]);
  }

  /** What performs the path calls of a view, where we stand from now on. */
  #pathsOf(pid: number): ModulePaths | undefined {
    const { surroundings } = this.#options;
    const ground = surroundings.standWith(pid);
    if (!this.#wantsPaths) return undefined;
    let paths = this.#paths.get(ground);
    if (paths === undefined) {
      paths = new ModulePaths(surroundings);
      this.#paths.set(ground, paths);
    }
    return paths;
  }

  #operationOf(request: CallRequest, name: string): Operation | undefined {
    const table = this.#tables.get(request.arch)!;
    const low = (index: number): number => request.low(index);
    const call = table.named(name === "socketcall" ? (socketcallName(low(0)) ?? "") : name);
    return call === undefined ? undefined : this.#operations.of(call, low);
  }

  /**
   * Reads registers and memory of a call; undefined when it cannot be read.
   * @param needsPaths nobody else has read the paths
   */
  #take(request: CallRequest, needsPaths: boolean): TakenCall | undefined {
    const { pid, arch } = request;
    const held = request.held();
    const table = this.#tables.get(arch)!;
    let call = table.numbered(request.number)!;
    let words: Pick<TakenCall, "argument" | "low" | "high"> = held;
    if (call.name === "socketcall") {
      const octets = this.#memory.octets(pid, request.argument(1), SOCKETCALL_OCTETS);
      if (octets === undefined) return undefined;
      const view = new DataView(octets.buffer, octets.byteOffset);
      const low = (index: number): number => view.getUint32(4 * index, true);
      words = { low, high: () => 0, argument: (index) => BigInt(low(index)) };
      call = table.named(socketcallName(request.low(0))!)!;
    }
    const registers = {
      arch,
      argument: (index: number) => words.argument(index),
      low: (index: number) => words.low(index),
      high: (index: number) => words.high(index),
    };
    const captured = captureArguments(call.arguments, registers, {
      string: (address, limit) => this.#memory.string(pid, address, limit),
      octets: (address, length) => this.#memory.octets(pid, address, length),
    });
    const kinds = call.arguments === "words" ? [] : call.arguments;
    const isNull = (index: number): boolean => words.low(index) === 0 && words.high(index) === 0;
    const isUnread = kinds.some(
      (kind, index) => kind === "path" && captured[index] === undefined && !isNull(index),
    );
    return needsPaths && isUnread ? undefined : { ...registers, call, captured };
  }

  /** @param named paths are wanted; else the path engine finds them */
  #place({ pid }: CallRequest, named: boolean): CallPlace {
    const link = (name: string): string => (named ? this.#link(pid, name) : "/");
    return {
      directory: (descriptor) => link(descriptor < 0 ? "cwd" : `fd/${descriptor}`),
      root: () => link("root"),
      octets: (address, length) => this.#memory.octets(pid, address, length),
      names: () => parseUtsName(this.#options.surroundings.names() ?? utsname()),
    };
  }

  /** What a link of a process says in the view; "/" when it is gone. */
  #link(pid: number, name: string): string {
    return this.#options.surroundings.linkOf(pid, name) ?? "/";
  }

  #ask(call: DecidedCall, turns: ModuleTurns, turn: Turn, verdict: Verdict): void {
    const sequence = ++this.#sequence;
    const asked = { ...call.offered, fields: verdict.fields };
    const message = { sequence, call: asked, modules: turn.modules };
    const deadlineMs = performance.now() + turn.timeoutMs + GRACE_MS;
    this.#pending.set(sequence, { ...call, turns, turn, verdict, message, deadlineMs });
    // Without a thread the view has ended, and its processes with it.
    this.#threads.get(turn.home)?.postMessage(message);
  }

  #change(message: ModulesMessage): void {
    if ("mount" in message) return this.#options.mounts.resume(message.mount);
    const { lists, threads, ended } = message;
    this.#options.mounts.change(lists);
    this.#views = new Map(lists.map(({ ground, modules }) => [ground, new ModuleTurns(modules)]));
    this.#wanted = new Set([...this.#views.values()].flatMap(({ operations }) => [...operations]));
    this.#wantsPaths ||= [...this.#wanted].some(isAboutPaths);
    const { grounds } = this.#options;
    for (const ground of this.#paths.keys()) {
      const isGone = ground !== undefined && grounds.find("mnt", ground) === undefined;
      if (isGone) this.#paths.delete(ground);
    }
    for (const { home, calls } of threads) {
      this.#threads.set(home, calls);
      this.#askAgain(home);
    }
    for (const home of ended) this.#forget(home);
  }

  /** A turn is over: the next one begins, or the caller is answered. */
  #decided(sequence: number, decision: Decision): void {
    const pending = this.#pending.get(sequence);
    // Late decisions find nothing: their callers have been told.
    if (pending === undefined || !this.#pending.delete(sequence)) return;
    const { offered, turns } = pending;
    const verdict = withDecision(pending.verdict, decision);
    const next = verdict.isFinal
      ? undefined
      : turns.next(offered.operation, verdict.fields, pending.turn.index + 1);
    if (next === undefined) this.#finish(pending, verdict.decision);
    else this.#ask(pending, turns, next, verdict);
  }

  #finish(pending: PendingCall, decision: Decision): void {
    const paths = this.#pathsOf(pending.request.pid);
    const answer = this.#answers.answer(pending, decision, paths);
    if (answer !== "moved") return reply(pending.request, answer);
    const { request, offered, tries } = pending;
    const again = this.#offer({ ...pending, operation: offered.operation }, paths, tries + 1);
    reply(request, again ?? this.#options.perform(request));
  }

  /** A new module thread: what the old one has not decided is asked again. */
  #askAgain(home: number): void {
    for (const [sequence, pending] of this.#pending) {
      const { turn, request, message } = pending;
      if (turn.home !== home) continue;
      const now = this.#turnsOf(request.pid);
      if (turn.wanting.every((module) => now.has(module))) {
        pending.deadlineMs = performance.now() + turn.timeoutMs + GRACE_MS;
        this.#threads.get(home)!.postMessage(message);
      } else this.#decided(sequence, { kind: "fail", errno: ERRNO.ETIMEDOUT });
    }
  }

  /** A view has ended, and with it its processes and its module thread. */
  #forget(home: number): void {
    this.#threads.delete(home);
    for (const [sequence, { turn }] of this.#pending) {
      if (turn.home !== home) continue;
      this.#decided(sequence, { kind: "fail", errno: ERRNO.ESRCH });
    }
  }
}
