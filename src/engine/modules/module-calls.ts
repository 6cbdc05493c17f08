/**
 * The notify worker's side of modules: takes a call that a module wants, once, sends it to the
 * module thread, and answers it when the decision comes. Meanwhile other calls are served.
 */
import { type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import { ERRNO } from "../../base/index.ts";
import {
  GuestMemory,
  hearBell,
  type NotifyListener,
  utsname,
  type Standpoint,
} from "../../sys/index.ts";
import {
  AUDIT_ARCH_I386,
  AUDIT_ARCH_X86_64,
  type CallPlace,
  captureArguments,
  compileCondition,
  type Decision,
  isAboutPaths,
  isPastByIoUring,
  type ModuleSummary,
  type Operation,
  operationFields,
  type OperationFields,
  OperationTable,
  parseUtsName,
  type PathPolicy,
  socketcallName,
  SyscallTable,
  type TakenCall,
  type UtsName,
} from "../../viewos/index.ts";
import { type Answer, failure, LATER, reply } from "../calls/answer.ts";
import { type DecidedCall, ModuleAnswers } from "./module-answers.ts";
import type { CapturedPathCall } from "../calls/captured-call.ts";
import type { GroundId, Grounds } from "../calls/grounds.ts";
import type { ModuleMounts } from "./module-mounts.ts";
import { ModulePaths, type NamedFiles } from "./module-paths.ts";
import type { CallMessage, DecisionMessage, ModulesMessage } from "./module-messages.ts";

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
  readonly message: CallMessage;
  /** Names of the modules that want it. */
  readonly modules: readonly string[];
  readonly limitMs: number;
  deadlineMs: number;
}

interface Interest {
  readonly module: string;
  readonly timeoutMs: number;
  readonly holds: (fields: object) => boolean;
}

/** What the loop around us does. */
export interface ModuleCallsOptions {
  readonly control: MessagePort;
  /** Rung when there is something on `control` or from the module thread. */
  readonly bell: number;
  readonly standpoint: Standpoint;
  readonly grounds: Grounds;
  /** The views have no namespaces: others find their files, and paths are known by name only. */
  readonly outside: boolean;
  /** Is asked about paths before modules are. */
  readonly policy: PathPolicy | undefined;
  readonly mounts: ModuleMounts;
  /** Performs a call as if there were no handlers. */
  readonly perform: (request: NotifyListener) => Answer;
  /** A call was not decided in time. */
  readonly onLate: () => void;
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
  #interests = new Map<Operation, Interest[]>();
  #calls: MessagePort | undefined;
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
    return this.#interests.size === 0;
  }

  /** How long a wait may last until a call is late; -1: for ever. */
  waitMs(): number {
    if (this.#pending.size === 0) return -1;
    let next = Infinity;
    for (const { deadlineMs } of this.#pending.values()) next = Math.min(next, deadlineMs);
    return Math.max(0, Math.ceil(next - performance.now()));
  }

  /** Takes a call that a module wants; undefined: none does. */
  offer(request: NotifyListener): Answer | undefined {
    const call = this.#tables.get(request.arch)?.numbered(request.number);
    if (call === undefined) return undefined;
    if (call.name === "io_uring_setup")
      return this.#hidesCalls() ? failure(ERRNO.ENOSYS) : undefined;
    const operation = this.#operationOf(request, call.name);
    const interests = operation === undefined ? undefined : this.#interests.get(operation);
    if (operation === undefined || interests === undefined) return undefined;
    const named = this.#pathsOf(request.pid)?.capture(request);
    const taken = this.#take(request, named === undefined);
    if (taken === undefined) return failure(ERRNO.EFAULT);
    return this.#offer(request, taken, operation, named, 0);
  }

  /** @param tries how often it has been decided about, each time on other files */
  #offer(
    request: NotifyListener,
    taken: TakenCall,
    operation: Operation,
    named: CapturedPathCall | undefined,
    tries: number,
  ): Answer | undefined {
    const interests = this.#interests.get(operation) ?? [];
    const wanting = (fields: object): Interest[] => interests.filter(({ holds }) => holds(fields));
    const paths = this.#pathsOf(request.pid);
    const place = this.#place(request, named === undefined);
    let fields: OperationFields[Operation] = operationFields(operation, taken, place);
    let files: NamedFiles | undefined;
    if (named !== undefined) {
      const wants = (found: NamedFiles): boolean => wanting({ ...fields, ...found }).length > 0;
      const offered = paths!.offer(request, named, wants);
      if (offered.answer !== undefined) return offered.answer;
      ({ files } = offered);
      fields = { ...fields, ...files };
    }
    const modules = wanting(fields);
    if (modules.length === 0) return undefined;
    // What was read may be another's when the caller has been killed meanwhile.
    if (!request.isValid()) return failure(ERRNO.ESRCH);
    if (this.#pending.size >= PENDING_MAX || tries > TRIES_MAX) return failure(ERRNO.EAGAIN);
    const offered = { operation, pid: request.pid, fields };
    this.#send({ request: request.held(), taken, offered, named, files, tries }, modules);
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
    for (;;) {
      const decided = this.#calls === undefined ? undefined : receiveMessageOnPort(this.#calls);
      if (decided === undefined) break;
      const { sequence, decision } = decided.message as DecisionMessage;
      this.#finish(sequence, decision);
    }
  }

  /** Fails the calls whose time is over. */
  expire(): void {
    const now = performance.now();
    let late = false;
    for (const [sequence, { deadlineMs }] of this.#pending) {
      if (deadlineMs > now) continue;
      late = true;
      this.#finish(sequence, { kind: "fail", errno: ERRNO.ETIMEDOUT });
    }
    if (late) this.#options.onLate();
  }

  /** To the view of the caller: its names and paths are meant. */
  #stand(pid: number): GroundId | undefined {
    const { standpoint, grounds } = this.#options;
    const inode = standpoint.namespaceOf(pid, "mnt");
    const ground = inode === undefined ? undefined : grounds.find("mnt", inode);
    if (ground !== undefined) grounds.stand(ground);
    return ground?.mnt;
  }

  /** What performs the path calls of a view, where we stand from now on. */
  #pathsOf(pid: number): ModulePaths | undefined {
    const { standpoint, policy } = this.#options;
    const ground = this.#stand(pid);
    if (!this.#wantsPaths) return undefined;
    let paths = this.#paths.get(ground);
    if (paths === undefined) {
      paths = new ModulePaths(standpoint, policy);
      this.#paths.set(ground, paths);
    }
    return paths;
  }

  #hidesCalls(): boolean {
    return [...this.#interests.keys()].some(isPastByIoUring);
  }

  #operationOf(request: NotifyListener, name: string): Operation | undefined {
    const table = this.#tables.get(request.arch)!;
    const low = (index: number): number => request.low(index);
    const call = table.named(name === "socketcall" ? (socketcallName(low(0)) ?? "") : name);
    return call === undefined ? undefined : this.#operations.of(call, low);
  }

  /**
   * Reads registers and memory of a call; undefined when it cannot be read.
   * @param needsPaths nobody else has read the paths
   */
  #take(request: NotifyListener, needsPaths: boolean): TakenCall | undefined {
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
  #place({ pid }: NotifyListener, named: boolean): CallPlace {
    const link = (name: string): string => (named ? this.#link(`${pid}/${name}`) : "/");
    return {
      directory: (descriptor) => link(descriptor < 0 ? "cwd" : `fd/${descriptor}`),
      root: () => link("root"),
      octets: (address, length) => this.#memory.octets(pid, address, length),
      names: realNames,
    };
  }

  /** What a link of the host's /proc says, as seen in the view; "/" when the process is gone. */
  #link(path: string): string {
    return this.#options.standpoint.readProcLink(path) ?? "/";
  }

  #send(call: DecidedCall, wanting: readonly Interest[]): void {
    const sequence = ++this.#sequence;
    const limitMs = wanting.reduce((sum, { timeoutMs }) => sum + timeoutMs, GRACE_MS);
    const message = { sequence, call: call.offered };
    const modules = wanting.map(({ module }) => module);
    const deadlineMs = performance.now() + limitMs;
    this.#pending.set(sequence, { ...call, message, modules, limitMs, deadlineMs });
    this.#calls!.postMessage(message);
  }

  #change(message: ModulesMessage): void {
    if ("mount" in message) return this.#options.mounts.resume(message.mount);
    const { summaries, calls } = message;
    this.#options.mounts.change(summaries);
    this.#interests = new Map();
    for (const summary of summaries) this.#addInterests(summary);
    const isAsked = [...this.#interests.keys()].some(isAboutPaths);
    this.#wantsPaths ||= isAsked && !this.#options.outside;
    if (calls === undefined) return;
    this.#calls = calls;
    this.#offerAgain();
  }

  #addInterests({ name, timeoutMs, hooks }: ModuleSummary): void {
    for (const { operation, when } of hooks) {
      const interest = { module: name, timeoutMs, holds: compileCondition(when) };
      const known = this.#interests.get(operation);
      if (known === undefined) this.#interests.set(operation, [interest]);
      else known.push(interest);
    }
  }

  #finish(sequence: number, decision: Decision): void {
    const pending = this.#pending.get(sequence);
    // Late decisions find nothing: their callers have been told.
    if (pending === undefined || !this.#pending.delete(sequence)) return;
    const paths = this.#pathsOf(pending.request.pid);
    const answer = this.#answers.answer(pending, decision, paths);
    if (answer !== "moved") return reply(pending.request, answer);
    const { request, taken, offered, named, tries } = pending;
    const again = this.#offer(request, taken, offered.operation, named, tries + 1);
    reply(request, again ?? this.#options.perform(request));
  }

  /** A new module thread: what the old one has not decided is offered to it. */
  #offerAgain(): void {
    const there = new Set([...this.#interests.values()].flat().map(({ module }) => module));
    for (const [sequence, pending] of this.#pending) {
      if (pending.modules.every((module) => there.has(module))) {
        pending.deadlineMs = performance.now() + pending.limitMs;
        this.#calls!.postMessage(pending.message);
      } else this.#finish(sequence, { kind: "fail", errno: ERRNO.ETIMEDOUT });
    }
  }
}

function realNames(): UtsName {
  return parseUtsName(utsname());
}
