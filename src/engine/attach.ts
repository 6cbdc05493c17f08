/**
 * Taking a running process into a view: it makes by itself the calls that a launcher makes, put
 * into it by ptrace (sys/injection.ts). It connects to the supervisor, joins the view's namespaces,
 * installs the view's filter and hands over the listener.
 *
 * What may fail comes first, and is undone when something does. The point of no return is one call,
 * setns(2), which joins all namespaces or none; of a view without namespaces it is seccomp(2).
 *
 * Sources: setns(2), seccomp(2), user_namespaces(7), capabilities(7).
 */
import { readFileSync } from "node:fs";
import { ERRNO, errnoText, EXIT, V2Error } from "../base/index.ts";
import {
  CLONE,
  closeDescriptor,
  injectCalls,
  type InjectedProgram,
  LaunchProgram,
  type MadeCall,
  namespaceId,
  type ProgramPlace,
  type Step,
  unixAddress,
} from "../sys/index.ts";
import { SYS_X86_64 as SYS } from "../viewos/index.ts";
import { connectToView } from "./control/view-session.ts";
import { type AttachTarget, attachTarget, tracingRemedy } from "./launch/attach-target.ts";
import { installFilter, openNamespaces, viewFilter } from "./launch/launch-filter.ts";
import { enterOutside, outsideRules } from "./launch/launch-outside.ts";
import { Launcher } from "./launch/launch-steps.ts";
import { hardLimitOfLocks, RLIMIT_LOCKS, softLimitOfLocks } from "./launch/marked-processes.ts";
import { rulesOf } from "./paths/path-traps.ts";
import { type RegisteredView, runningView, sessionSocketPath } from "./server/run-directory.ts";
import { type Destination, existingView, guestTraps, notOn } from "./start.ts";

const AF_UNIX = 1;
const SOCK_SEQPACKET_CLOEXEC = 0o2000005;
const CAPABILITY_VERSION_3 = 0x20080522;
const FILTER_TSYNC = 1;
const FILTER_TSYNC_ESRCH = 16;

/** A process that is in a view now. */
export interface AttachedProcess {
  readonly pid: number;
  readonly view: string;
  /**
   * Its working directory, found again by its path; null: the view has none there, it stands in
   * `/`. Without namespaces it stands where it was, and sees a mount there when it goes there
   * again.
   */
  readonly directory: string | null;
}

/**
 * Takes a running process into a view.
 * @param name a running view of this user
 * @throws V2Error that says why it cannot be; unless its code is HALF_DONE the process is as it was
 */
export function attachProcess(name: string, pid: number): AttachedProcess {
  const view = runningView(name);
  if (view.outside?.traced === true) throw notOn("D", "way in for processes that run already");
  const enter = existingView(view);
  // Says what is wrong when nobody answers for the view any more.
  closeDescriptor(connectToView(name));
  const target = attachTarget(pid, view);
  let plan: AttachPlan | undefined;
  const calls = injectedCalls(pid, (place) => {
    plan = new AttachPlan(view, enter, target, place);
    return plan;
  });
  plan!.check(calls);
  const directory = plan!.isInDirectory(calls) ? (target.directory ?? null) : null;
  return { pid, view: name, directory };
}

function injectedCalls(
  pid: number,
  build: (place: ProgramPlace) => InjectedProgram,
): readonly MadeCall[] {
  try {
    return injectCalls(pid, build);
  } catch (error) {
    if (!(error instanceof V2Error) || error.code !== "EPERM") throw error;
    const { code, message, exitCode } = error;
    throw new V2Error(code, message, { exitCode, remedy: tracingRemedy(), cause: error });
  }
}

/** What the process does, and what is to be said when a step fails. */
class AttachPlan implements InjectedProgram {
  readonly program: LaunchProgram;
  readonly entry: Step;
  readonly #pid: number;
  readonly #view: RegisteredView;
  readonly #launcher: Launcher;
  /** What a failure undoes first. */
  #undo: Step | undefined;
  /** Labels of steps, by the first step of their failure path. */
  readonly #labels = new Map<bigint, string>();
  /** After it nothing can be undone. */
  #joining: readonly Step[] = [];
  #directory: Step | undefined;

  constructor(view: RegisteredView, enter: Destination, target: AttachTarget, place: ProgramPlace) {
    this.#pid = target.pid;
    this.#view = view;
    const program = new LaunchProgram(place);
    this.program = program;
    const failure = (label: string): Step => this.#failure(label);
    const session = program.call(SYS.socket, [AF_UNIX, SOCK_SEQPACKET_CLOEXEC, 0], {
      onFailure: failure("a socket"),
    });
    this.entry = session;
    const launcher = new Launcher(session.result, program, failure);
    this.#launcher = launcher;
    this.#undoClose(session);
    const address = unixAddress(sessionSocketPath(view.name));
    const connect = [session.result, program.bytes(address), address.length];
    launcher.step("a session with the supervisor", SYS.connect, connect);
    if ("outside" in enter) this.#enterOutside(target, enter);
    else this.#join(target, enter);
    // Nobody hears whether that succeeds.
    launcher.attempt(SYS.close, [session.result]);
    if (!("outside" in enter) && !isRootIn(view.pid)) layDownCapabilities(launcher);
  }

  /** @throws V2Error when a step has failed */
  check(calls: readonly MadeCall[]): void {
    const failed = calls.findIndex(({ step }) => this.#labels.has(step));
    if (failed === -1) return;
    const label = this.#labels.get(calls[failed]!.step)!;
    const errno = -(calls[failed - 1]?.result ?? 0);
    const joined = calls.some(
      ({ step, result }) => this.#joining.some(({ address }) => address === step) && result >= 0,
    );
    if (joined) {
      const message = `process ${this.#pid} sees view '${this.#view.name}', but cannot mount in it: ${label}: ${errnoText(errno)}`;
      throw new V2Error("HALF_DONE", message, { remedy: "end it, and start it in the view" });
    }
    throw explain(this.#pid, label, errno);
  }

  /** Has the process found its working directory again? */
  isInDirectory(calls: readonly MadeCall[]): boolean {
    if (this.#directory === undefined) return true;
    return calls.some(({ step, result }) => step === this.#directory!.address && result === 0);
  }

  /** The kernel's view: namespaces, and a filter for what they do not allow. */
  #join(target: AttachTarget, enter: Destination): void {
    const launcher = this.#launcher;
    const { pid } = this.#view;
    const member = launcher.step("the view", SYS.pidfd_open, [pid, 0]);
    this.#undoClose(member);
    const namespaces = openNamespaces(launcher, pid, (one) => this.#undoClose(one));
    // A view without a network of its own shares the host's, which it may not (and need not) join.
    const network = namespaceId(pid, "net") === namespaceId("self", "net") ? 0 : CLONE.NEWNET;
    const kinds = CLONE.NEWUSER | CLONE.NEWNS | CLONE.NEWUTS | network;
    this.#joining = [launcher.step(JOINING, SYS.setns, [member.result, kinds])];
    const directory = launcher.program.string(target.directory ?? "/");
    this.#directory = launcher.attempt(SYS.chdir, [directory]);
    launcher.attempt(SYS.close, [member.result]);
    this.#installFilter(enter, namespaces, 0);
  }

  /** A view without namespaces: only its filter, for all threads at once. */
  #enterOutside(target: AttachTarget, enter: Extract<Destination, { outside: unknown }>): void {
    const launcher = this.#launcher;
    enterOutside(launcher, enter.outside);
    const { program } = launcher;
    const before = program.words([softLimitOfLocks(target.pid), hardLimitOfLocks()]);
    this.#undoCall(SYS.setrlimit, [RLIMIT_LOCKS, before]);
    const namespaces = openNamespaces(launcher, "self", (one) => this.#undoClose(one));
    const all = target.threads > 1 ? FILTER_TSYNC | FILTER_TSYNC_ESRCH : 0;
    this.#joining = this.#installFilter(enter, namespaces, all);
  }

  #installFilter(enter: Destination, namespaces: readonly Step[], flags: number): readonly Step[] {
    const launcher = this.#launcher;
    const { traps = {}, outside } = this.#view;
    const trapped = guestTraps(enter, traps);
    const passed = outside === undefined ? [] : outsideRules(trapped, outside);
    const rules = traps.paths === undefined ? [] : rulesOf(traps.paths);
    const filter = viewFilter(launcher.session, trapped, [...passed, ...rules]);
    const onInstalled = (one: Step): void => this.#undoClose(one);
    const steps = installFilter(launcher, filter, namespaces, { flags, onInstalled });
    const [listener, older] = steps;
    const closing = launcher.attempt(SYS.close, [listener.result]);
    older.stores.push(launcher.program.argumentCell(closing, 0));
    for (const one of namespaces) launcher.attempt(SYS.close, [one.result]);
    return steps;
  }

  #undoClose(opened: Step): void {
    this.#undoCall(SYS.close, [opened.result]);
  }

  #undoCall(number: number, args: Parameters<LaunchProgram["detached"]>[1]): void {
    const step = this.program.detached(number, args, { mayFail: true });
    step.next = this.#undo;
    this.#undo = step;
  }

  /**
   * Begins a failure path: a call without effect that tells which step it was; then all is undone.
   */
  #failure(label: string): Step {
    const marker = this.program.detached(SYS.getpid, []);
    marker.next = this.#undo;
    this.#labels.set(marker.address, label);
    return marker;
  }
}

const JOINING = "the namespaces of the view";

function explain(pid: number, label: string, errno: number): V2Error {
  const why = `process ${pid} cannot be taken into the view: ${label}: ${errnoText(errno)}`;
  const exitCode = errno === ERRNO.EPERM ? EXIT.noPermission : EXIT.unavailable;
  if (label === JOINING && errno === ERRNO.EINVAL) {
    const reason = `process ${pid} shares its working directory with another (clone CLONE_FS), or has several threads`;
    const remedy = "the kernel lets only a process of its own join a user namespace";
    return new V2Error("SHARED", reason, { remedy, exitCode });
  }
  if (label === "the filter" && errno === ERRNO.EBUSY) {
    const reason = `process ${pid} is watched by another supervisor (seccomp)`;
    return new V2Error("FILTERED", reason, { exitCode });
  }
  return new V2Error("NOT_POSSIBLE", why, { exitCode });
}

/** Is our user number 0 in the user namespace of a process? */
function isRootIn(pid: number): boolean {
  const uid = process.geteuid!();
  const lines = readFileSync(`/proc/${pid}/uid_map`, "utf8").trim().split("\n");
  return lines.some((line) => {
    const [inside = 0, outside = 0, count = 0] = line.trim().split(/\s+/).map(Number);
    return uid >= outside && uid < outside + count && inside + uid - outside === 0;
  });
}

/** Whoever joins a user namespace has all capabilities in it; a guest that is not root has none. */
function layDownCapabilities({ program }: Launcher): void {
  const header = new Uint8Array(new Uint32Array([CAPABILITY_VERSION_3, 0]).buffer);
  const none = program.bytes(new Uint8Array(24));
  program.call(SYS.capset, [program.bytes(header), none], { mayFail: true });
}
