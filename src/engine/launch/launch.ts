/**
 * The two launch programs of a view. The supervisor's makes the user namespace and starts the
 * supervisor in it with all capabilities there; the guest's joins it, builds or joins the other
 * namespaces, installs the filter and becomes the command.
 */
import { readFileSync } from "node:fs";
import { type Address, type Argument, CLONE, O, type Step } from "../../sys/index.ts";
import {
  type FilterRule,
  type MountSpec,
  MS,
  SYS_X86_64 as SYS,
  type Trap,
} from "../../viewos/index.ts";
import { installFilter, openNamespaces, viewFilter } from "./launch-filter.ts";
import {
  beTraced,
  enterOutside,
  type OutsideView,
  outsideRules,
  tracedRules,
} from "./launch-outside.ts";
import { Launcher, MESSAGE, type ViewFacts } from "./launch-steps.ts";
import { keepStore } from "./store-program.ts";

const O_RDWR_NOCTTY_CLOEXEC = 0o2000402;
/** Gives up the controlling terminal (ioctl_tty(2)). */
const TIOCNOTTY = 0x5422;
const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_RAISE = 2;
const CAPABILITY_VERSION_3 = 0x20080522;
const F_SETFD = 2;
const FD_CLOEXEC = 1;
const RLIMIT_NOFILE = 7;
const PR_SET_PDEATHSIG = 1;
const SIGKILL = 9;
const SIGCHLD = 17;
const SIGPIPE = 13;
const SIGXFSZ = 25;
const DESCRIPTORS_MAX = 0xffffffff;
const O_WRONLY_CLOEXEC = 0o2000001;

/** How user numbers of the host appear in the view. */
export interface IdentityMaps {
  readonly uid: string;
  readonly gid: string;
  /** The map is written from outside by a privileged user, not by the launcher itself. */
  readonly fromOutside: boolean;
}

/**
 * Maps for the calling user: itself as itself, or as 0 with `root`. The host's root keeps every
 * number it has, so that its files and programs look in the view as they do outside.
 */
export function identityMaps(root: boolean): IdentityMaps {
  const uid = process.geteuid!();
  const gid = process.getegid!();
  if (uid === 0) {
    return { uid: wholeMap("uid_map"), gid: wholeMap("gid_map"), fromOutside: true };
  }
  return root
    ? { uid: `0 ${uid} 1`, gid: `0 ${gid} 1`, fromOutside: false }
    : { uid: `${uid} ${uid} 1`, gid: `${gid} ${gid} 1`, fromOutside: false };
}

/** Identity over all ranges that exist in our own user namespace. */
function wholeMap(file: "uid_map" | "gid_map"): string {
  return readFileSync(`/proc/self/${file}`, "utf8")
    .trim()
    .split("\n")
    .map((line) => {
      const [inside, , count] = line.trim().split(/\s+/);
      return `${inside} ${inside} ${count}`;
    })
    .join("\n");
}

export interface SupervisorPlan {
  readonly session: number;
  /** Undefined: it stays in our user namespace. */
  readonly maps: IdentityMaps | undefined;
  /** The supervisor becomes an orphan (its launcher forks); else it stays a child of the caller. */
  readonly orphan: boolean;
  /** An orphan has a store for its descriptors as its parent. */
  readonly store: boolean;
  readonly argv: readonly string[];
  readonly environment: readonly string[];
}

/** The executable that starts a supervisor in a user namespace of its own. */
export function supervisorProgram(plan: SupervisorPlan): Uint8Array {
  const launcher = new Launcher(plan.session);
  const { program } = launcher;
  leaveTerminal(launcher);
  if (plan.maps !== undefined) ownUserNamespace(launcher, plan.maps);
  const [argv, environment] = [program.strings(plan.argv), program.strings(plan.environment)];
  const execute = (): void => launcher.execute(plan.argv[0]!, [plan.argv[0]!], argv, environment);
  // Said by the supervisor itself: were its parent to say it, nobody would if that were killed.
  const begin = (self: Step): void => {
    launcher.send(MESSAGE.running, self);
    execute();
  };
  if (plan.orphan) {
    const fork = launcher.step("a process", SYS.clone, [SIGCHLD, 0, 0, 0, 0]);
    // In the child clone returns 0, and there is no process 0: that failure is its path.
    const isParent = program.call(SYS.tgkill, [fork.result, fork.result, 0]);
    const child = program.detached(SYS.getpid, []);
    isParent.onFailure = child;
    launcher.step("end", SYS.exit_group, [0]);
    launcher.continueAt(child);
    if (plan.store) keepStore(launcher, plan.session, { first: begin, next: execute });
    else begin(child);
  } else begin(launcher.step("pid", SYS.getpid, []));
  return launcher.compile();
}

/**
 * The supervisor gets no signal from a terminal, and has none. It stays in the session of those who
 * start guests: the kernel shares the processor out by sessions (sched(7), autogroup), and only
 * within one does a trapped call go back and forth without waiting for others.
 */
function leaveTerminal(launcher: Launcher): void {
  const path = launcher.program.string("/dev/tty");
  launcher.attempt(SYS.setpgid, [0, 0]);
  const terminal = launcher.attempt(SYS.open, [path, O_RDWR_NOCTTY_CLOEXEC, 0]);
  launcher.attempt(SYS.ioctl, [terminal.result, TIOCNOTTY, 0]);
}

function ownUserNamespace(launcher: Launcher, maps: IdentityMaps): void {
  launcher.step("a user namespace", SYS.unshare, [CLONE.NEWUSER]);
  if (maps.fromOutside) {
    launcher.send(MESSAGE.maps, undefined);
    launcher.awaitAnswer("the maps of the user namespace");
  } else {
    launcher.writeFile("the group map", "/proc/self/setgroups", "deny");
    launcher.writeFile("the user map", "/proc/self/uid_map", maps.uid);
    launcher.writeFile("the group map", "/proc/self/gid_map", maps.gid);
  }
  keepCapabilities(launcher);
}

/**
 * Capabilities of the new user namespace survive the exec of an ordinary uid only as ambient ones.
 */
function keepCapabilities(launcher: Launcher): void {
  const { program } = launcher;
  const last = Number(readFileSync("/proc/sys/kernel/cap_last_cap", "utf8"));
  const header = new Uint32Array([CAPABILITY_VERSION_3, 0]);
  const all = (1n << BigInt(last + 1)) - 1n;
  const low = Number(all & 0xffffffffn);
  const high = Number(all >> 32n);
  const data = new Uint32Array([low, low, low, high, high, high]);
  launcher.step("capabilities", SYS.capset, [
    program.bytes(new Uint8Array(header.buffer)),
    program.bytes(new Uint8Array(data.buffer)),
  ]);
  for (let capability = 0; capability <= last; capability++) {
    launcher.attempt(SYS.prctl, [PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0]);
  }
}

/** A view that exists: its namespaces are those of one of its processes. */
export interface ExistingView {
  readonly pid: number;
}

/** A view to be made: what its namespaces start with. */
export interface NewView {
  /** A process in the supervisor's user namespace; undefined: the launcher is there already. */
  readonly supervisorPid: number | undefined;
  /** The view gets a user namespace of its own, inside the supervisor's. */
  readonly maps?: IdentityMaps;
  readonly facts: ViewFacts;
  readonly hostName: string | undefined;
  readonly mounts: readonly MountSpec[];
  /** The view has a network namespace, which the supervisor fills. */
  readonly network: boolean;
}

/** A view to be made inside the view that the launcher is in. */
export interface NestedView {
  readonly facts: ViewFacts;
  readonly maps: IdentityMaps;
  readonly hostName: string | undefined;
  readonly mounts: readonly MountSpec[];
  readonly network: boolean;
}

export interface Command {
  /** As it was typed. */
  readonly name: string;
  /** Paths to try in turn. */
  readonly candidates: readonly string[];
  /** Strings, or where the launched process has them in its memory. */
  readonly argv: readonly string[] | Address;
  readonly environment: readonly string[] | Address;
}

/** Where execvp(3) would look for a program, in its order. */
export function candidatesOf(program: string, path = "/bin:/usr/bin"): string[] {
  if (program.includes("/")) return [program];
  return path.split(":").map((directory) => `${directory === "" ? "." : directory}/${program}`);
}

export interface GuestPlan {
  readonly session: number;
  readonly enter:
    | { readonly view: ExistingView }
    | { readonly create: NewView }
    | { readonly nest: NestedView }
    | { readonly outside: OutsideView };
  /** Undefined: the launcher's own, which keeps it as long as it joins no mount namespace. */
  readonly directory: string | undefined;
  /** The launcher has been Node, which changes limits and signals. */
  readonly isAfterNode: boolean;
  /** Soft and hard limit of open files to restore (Node raises the soft one). */
  readonly openFiles: readonly [soft: bigint, hard: bigint] | undefined;
  /**
   * Calls that reach the supervisor besides those of level 0. Undefined: no filter, because the
   * launcher is under one already, and only one of them can have a listener.
   */
  readonly traps: readonly Trap[] | undefined;
  /** What `viewFilter` gives for a view with namespaces and these traps, if it is known already. */
  readonly filter?: Uint8Array;
  /** Rules of the filter that go before those of the traps. */
  readonly rules?: readonly FilterRule[];
  /** Undefined: a holder, which only keeps the view alive. */
  readonly command: Command | undefined;
  /** A holder says there, with one octet, that the view is complete, and ends with its peer. */
  readonly lifeline?: number;
}

/** The executable that becomes a process of a view. */
export function guestProgram(plan: GuestPlan): Uint8Array {
  const launcher = new Launcher(plan.session);
  build(launcher, plan);
  return launcher.compile();
}

/**
 * The same as the continuation of a native launcher.
 * @param launcher empty, or with steps that go before
 */
export function build(launcher: Launcher, plan: GuestPlan): void {
  launcher.step("session", SYS.fcntl, [plan.session, F_SETFD, FD_CLOEXEC]);
  const { enter } = plan;
  if ("outside" in enter) enterOutside(launcher, enter.outside);
  else if ("view" in enter) joinView(launcher, enter.view);
  else if ("nest" in enter) nestView(launcher, enter.nest);
  else makeView(launcher, enter.create);
  if (plan.directory !== undefined) {
    launcher.attempt(SYS.chdir, [launcher.program.string(plan.directory)]);
  }
  if (plan.isAfterNode) restoreAfterNode(launcher, plan);
  const { traps } = plan;
  if ("outside" in enter && enter.outside.traced) {
    beTraced(launcher, tracedRules(traps ?? [], enter.outside.denies));
  } else if (traps !== undefined) {
    const passed = "outside" in enter ? outsideRules(traps, enter.outside) : [];
    const first = [...passed, ...(plan.rules ?? [])];
    const filter = plan.filter ?? viewFilter(plan.session, traps, first);
    const facts = "create" in enter ? { facts: JSON.stringify(enter.create.facts) } : {};
    installFilter(launcher, filter, openNamespaces(launcher, "self"), facts);
  }
  // Without namespaces it is the supervisor who mounts and names, once it sees the calls.
  if ("outside" in enter) furnish(launcher, enter.outside);
  if ("nest" in enter) {
    launcher.send(MESSAGE.born, undefined);
    launcher.awaitAnswer("the view");
  }
  if (plan.command === undefined) hold(launcher, plan.session, plan.lifeline);
  else {
    const { program } = launcher;
    const { name, candidates, argv, environment } = plan.command;
    const at = (strings: readonly string[] | Address): Address =>
      typeof strings === "bigint" ? strings : program.strings(strings);
    launcher.execute(name, candidates, at(argv), at(environment));
  }
}

function joinUserNamespace(launcher: Launcher, pid: number): void {
  const namespace = launcher.open(`/proc/${pid}/ns/user`);
  launcher.step("the view's user namespace", SYS.setns, [namespace, CLONE.NEWUSER]);
}

function joinView(launcher: Launcher, view: ExistingView): void {
  // All are opened first: after the first join /proc may be another.
  const kinds = [
    ["user", CLONE.NEWUSER],
    ["net", CLONE.NEWNET],
    ["uts", CLONE.NEWUTS],
    ["mnt", CLONE.NEWNS],
  ] as const;
  const opened = kinds.map(([kind]) => launcher.open(`/proc/${view.pid}/ns/${kind}`));
  kinds.forEach(([kind, flag], index) => {
    // A view without a network of its own shares the host's, which it may not (and need not) join.
    if (kind === "net") launcher.attempt(SYS.setns, [opened[index]!, flag]);
    else launcher.step(`the view's ${kind} namespace`, SYS.setns, [opened[index]!, flag]);
  });
}

function makeView(launcher: Launcher, view: NewView): void {
  if (view.supervisorPid !== undefined) joinUserNamespace(launcher, view.supervisorPid);
  const spaces = CLONE.NEWNS | CLONE.NEWUTS | (view.network ? CLONE.NEWNET : 0);
  if (view.maps === undefined) launcher.step("the view's namespaces", SYS.unshare, [spaces]);
  else makeUserNamespace(launcher, view.maps, spaces);
  cutOff(launcher);
  furnish(launcher, view);
  awaitNetwork(launcher, view);
}

/** Mounts made outside later still appear inside; nothing done inside reaches the outside. */
function cutOff(launcher: Launcher): void {
  const everything = launcher.program.string("/");
  const none = launcher.program.string("none");
  launcher.step("the view's mounts", SYS.mount, [none, everything, 0, MS.REC | MS.SLAVE, 0]);
}

/**
 * A view inside a view has a user namespace of its own inside that of its maker, who has no right
 * to make the others otherwise.
 */
function nestView(launcher: Launcher, view: NestedView): void {
  const network = view.network ? CLONE.NEWNET : 0;
  makeUserNamespace(launcher, view.maps, CLONE.NEWNS | CLONE.NEWUTS | network);
  cutOff(launcher);
  const [mounts, names, user] = ["mnt", "uts", "user"].map((kind) =>
    launcher.step(kind, SYS.open, [launcher.program.string(`/proc/self/ns/${kind}`), O.CLOEXEC, 0]),
  );
  const facts = JSON.stringify(view.facts);
  launcher.send(MESSAGE.nested, undefined, [mounts!, names!, user!, 2], 0, facts);
  launcher.awaitAnswer("the view");
  // The supervisor has put another tree in the place of our mounts: go there.
  launcher.step("the view's mounts", SYS.setns, [mounts!.result, CLONE.NEWNS]);
  for (const opened of [mounts!, names!, user!]) launcher.attempt(SYS.close, [opened.result]);
  furnish(launcher, view);
  awaitNetwork(launcher, view);
}

/** unshare(2) of a user namespace and others, and the maps of the first. */
function makeUserNamespace(launcher: Launcher, maps: IdentityMaps, others: number): void {
  const { program } = launcher;
  const label = "a user namespace";
  const flags = CLONE.NEWUSER | others;
  if (!maps.fromOutside) {
    launcher.step(label, SYS.unshare, [flags]);
    launcher.writeFile("the group map", "/proc/self/setgroups", "deny");
    launcher.writeFile("the user map", "/proc/self/uid_map", maps.uid);
    launcher.writeFile("the group map", "/proc/self/gid_map", maps.gid);
    return;
  }
  // Many numbers may be mapped only by a process outside that has the right: a child which stays.
  const self = launcher.step(label, SYS.open, [program.string("/proc/self"), O.CLOEXEC, 0]);
  const made = launcher.step(label, SYS.eventfd2, [0, O.CLOEXEC]);
  const fork = launcher.step(label, SYS.clone, [SIGCHLD, 0, 0, 0, 0], 1);
  launcher.step(label, SYS.unshare, [flags]);
  launcher.step(label, SYS.write, [made.result, program.words([1]), 8]);
  launcher.step(label, SYS.wait4, [fork.result, 0, 0, 0]);
  const written = launcher.open("/proc/self/uid_map");
  launcher.step("the user map", SYS.read, [written, program.bytes(new Uint8Array(8)), 8], 1);
  const last = launcher.step(label, SYS.close, [self.result]);
  // In the child clone returns 0: that "failure" is the path of the child. It ends with its parent,
  // who may be refused the namespaces.
  const bound = program.detached(SYS.prctl, [PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0]);
  fork.onFailure = bound;
  launcher.continueAt(bound);
  launcher.attempt(SYS.read, [made.result, program.bytes(new Uint8Array(8)), 8]);
  for (const kind of ["uid", "gid"] as const) {
    const text = new TextEncoder().encode(maps[kind]);
    const path = program.string(`${kind}_map`);
    const file = launcher.attempt(SYS.openat, [self.result, path, O_WRONLY_CLOEXEC]);
    launcher.attempt(SYS.write, [file.result, program.bytes(text), text.length]);
  }
  const end = launcher.attempt(SYS.exit_group, [0]);
  end.next = end;
  launcher.continueAt(last);
}

/** Waits until the supervisor has plugged the cables of a view that is to have some. */
function awaitNetwork(launcher: Launcher, view: NewView | NestedView): void {
  if (!view.network) return;
  const facts = JSON.stringify(view.facts);
  launcher.send(MESSAGE.network, launcher.step("pid", SYS.getpid, []), [2], 0, facts);
  launcher.awaitAnswer("the view's network");
}

/** The names and mounts that a view begins with. */
function furnish(launcher: Launcher, view: Pick<NewView, "hostName" | "mounts">): void {
  if (view.hostName !== undefined) {
    const name = new TextEncoder().encode(view.hostName);
    const octets = launcher.program.bytes(name);
    launcher.step("the host name", SYS.sethostname, [octets, name.length]);
  }
  for (const mount of view.mounts) initialMount(launcher, mount);
}

function initialMount(launcher: Launcher, spec: MountSpec): void {
  const { program } = launcher;
  const label = `mount ${spec.type === "none" ? spec.source : spec.type} on ${spec.target}`;
  const target = program.string(spec.target);
  const bind = (spec.flags & MS.BIND) !== 0;
  const first: Argument[] = [
    program.string(spec.source),
    target,
    program.string(spec.type),
    // A plain bind of a tree with mounts below is refused in a user namespace; all of it is
    // allowed.
    bind ? MS.BIND | MS.REC : spec.flags,
    spec.data === "" ? 0 : program.string(spec.data),
  ];
  launcher.step(label, SYS.mount, first);
  const further = spec.flags & ~(MS.BIND | MS.REC);
  if (bind && further !== 0) {
    const flags = MS.BIND | MS.REMOUNT | further;
    launcher.step(label, SYS.mount, [0, target, 0, flags, 0]);
  }
}

/** Node changes limits and signal dispositions of its process: put them back. */
function restoreAfterNode(launcher: Launcher, plan: GuestPlan): void {
  const { program } = launcher;
  if (plan.openFiles !== undefined) {
    launcher.attempt(SYS.setrlimit, [RLIMIT_NOFILE, program.words(plan.openFiles)]);
  }
  const byDefault = program.bytes(new Uint8Array(32));
  for (const signal of [SIGPIPE, SIGXFSZ]) {
    launcher.attempt(SYS.rt_sigaction, [signal, byDefault, 0, 8]);
  }
}

function hold(launcher: Launcher, session: number, lifeline: number | undefined): void {
  // It never runs another program, which would close what it has opened.
  const last = lifeline ?? session;
  launcher.attempt(SYS.close, [session]);
  launcher.attempt(SYS.close_range, [last + 1, DESCRIPTORS_MAX, 0]);
  if (lifeline !== undefined) {
    const octet = launcher.program.bytes(Uint8Array.of(1));
    launcher.attempt(SYS.write, [lifeline, octet, 1]);
    launcher.attempt(SYS.read, [lifeline, octet, 1]);
    launcher.attempt(SYS.exit_group, [0]);
    return;
  }
  const wait = launcher.attempt(SYS.pause, []);
  wait.next = wait;
  wait.onFailure = wait;
}
