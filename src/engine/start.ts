/**
 * Starting a supervisor and entering its view. Everything here is synchronous and short: the caller
 * of `becomeGuest` is about to be replaced by the command, so it keeps the caller's pid, terminal,
 * job control, signals and exit status by construction.
 */
import { spawn, type ChildProcess, type StdioOptions } from "node:child_process";
import { closeSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { ERRNO, errnoText, EXIT, V2Error } from "../base/index.ts";
import {
  closeDescriptor,
  execInPlace,
  executableInMemory,
  callForDescriptor,
  probeSeccompNotify,
  receiveMessage,
  sendMessage,
  sessionPair,
  setCloseOnExec,
  viewRefusal,
  waitForChild,
} from "../sys/index.ts";
import { encodeTraps, type MountSpec, type Trap, VUSESSION } from "../viewos/index.ts";
import {
  candidatesOf,
  type Command,
  type GuestPlan,
  guestProgram,
  type IdentityMaps,
  identityMaps,
  supervisorProgram,
} from "./launch/launch.ts";
import {
  newOutsideConfig,
  OUTSIDE_TRAPS,
  type OutsideConfig,
  type OutsideIdentity,
} from "./launch/launch-outside.ts";
import { MESSAGE, MESSAGE_HEADER_OCTETS, type ViewFacts } from "./launch/launch-steps.ts";
import type { Leftovers } from "./server/leftovers.ts";
import { rulesOf } from "./paths/path-traps.ts";
import { awaitModuleReport } from "./modules/module-report.ts";
import type { InsertOptions } from "./modules/modules.ts";
import type { RegisteredView } from "./server/run-directory.ts";
import {
  FILTERING_RUNGS,
  probeFilter,
  probeMemory,
  type Rung,
  RUNGS,
  rungWithNamespaces,
} from "./launch/rungs.ts";
import { storeDescriptors } from "./server/fd-store.ts";
import { roomForProcesses, SUPERVISOR_THREADS, tooFewProcesses } from "./launch/process-limit.ts";
import type { ViewNet } from "./launch/view-net.ts";
import { enterServer, type ServerSession } from "./server/view-server.ts";
import { filterTraps, type ViewTraps } from "./calls/view-traps.ts";

/** What a supervisor is told at its start, as JSON in its last argument. */
export interface SupervisorConfig {
  /** Registered under this name; undefined: not registered. */
  readonly name: string | undefined;
  readonly net: readonly ViewNet[];
  /** Descriptor whose end of file means: kill every process of the view and end. */
  readonly lifeline: number | undefined;
  /** Removed when the maker dies without closing the view. */
  readonly leftovers?: Leftovers;
  readonly traps: ViewTraps;
  /**
   * The supervisor is to be the user's server, when there is none: a module whose `interpret` reads
   * the command lines of native launchers.
   */
  readonly interpreter?: string;
  /** Inserted before the first guest. */
  readonly modules?: readonly InsertOptions[];
  /** The lines of modules go to SPAWNED_LOG. */
  readonly log?: boolean;
  /** How the view is made; see rungs.ts. */
  readonly rung?: Rung;
  /** Set when the view has no namespaces. */
  readonly outside?: OutsideConfig;
}

/**
 * Descriptor of the session socket in processes that `spawn` starts: the first after standard
 * error.
 */
export const SPAWNED_SESSION = 3;
const SPAWNED_LIFELINE = 4;
/** Where a trace goes. */
export const SPAWNED_TRACE = 5;
/** Where the lines of modules go. */
export const SPAWNED_LOG = 6;

export interface StartedSupervisor {
  readonly pid: number;
  /** Our end of the first session; close it when the guest has its own. */
  readonly session: number;
  /** Those asked for, and those that the first modules want. */
  readonly traps: ViewTraps;
  /** Undefined when the supervisor is nobody's child. */
  readonly child: ChildProcess | undefined;
  /** Set when the view has no namespaces. */
  readonly outside?: OutsideConfig;
}

export interface SupervisorOptions {
  readonly root: boolean;
  readonly orphan: boolean;
  readonly config: Omit<SupervisorConfig, "lifeline">;
  /** Descriptor that a trace is written to; goes with `config.trace`. */
  readonly traceTo?: number;
  /** Descriptor for the lines of modules; goes with `config.log`. */
  readonly logTo?: number;
  /** Undefined: the best that the host allows. */
  readonly rung?: Rung;
  /** Only rungs where the kernel picks the calls that matter. */
  readonly filtering?: boolean;
}

/**
 * Starts a supervisor: in a user namespace of its own, or beside its guests where the host allows
 * none, or the caller wants none.
 * Throws a V2Error with the remedy when the host does not allow what is wanted.
 */
export function startSupervisor(options: SupervisorOptions): StartedSupervisor {
  const { rung } = options;
  const room = roomForProcesses();
  if (room < SUPERVISOR_THREADS) throw tooFewProcesses(`you may start ${room} more processes only`);
  if (rung === "C" || rung === "D") return startOutside(options, rung);
  if (rung === undefined && !probeSeccompNotify().works) return startOutside(options, "D");
  try {
    return startWithNamespaces(options, rung ?? rungWithNamespaces());
  } catch (error) {
    const isRefusal = error instanceof V2Error && error.code === "VIEW_REFUSED";
    const { net } = options.config;
    const needsThem = options.root || net.length > 0;
    if (rung !== undefined || needsThem || !isRefusal) throw error;
    return startOutside(options, probeFilter().works && probeMemory().works ? "C" : "D");
  }
}

/**
 * A session with the user's server of views, which is started when there is none; the first view
 * need not wait until it runs. Undefined where the host refuses what a view of the server needs:
 * that is told by whoever makes a supervisor of its own.
 * @param interpreter see `SupervisorConfig`
 * @param network the view is to have a network of its own
 */
export function sessionWithServer(
  interpreter: string,
  network: boolean,
): ServerSession | undefined {
  if (viewRefusal(network) !== undefined || !probeSeccompNotify().works) return undefined;
  return enterServer() ?? startServer(interpreter);
}

function startServer(interpreter: string): ServerSession | undefined {
  const config = { name: undefined, net: [], traps: {}, interpreter };
  try {
    return startSupervisor({ root: false, orphan: true, config, rung: rungWithNamespaces() });
  } catch (error) {
    if (error instanceof V2Error && error.code === "VIEW_REFUSED") return undefined;
    throw error;
  }
}

const BETTER_RUNGS = "'v2 doctor' shows which engines this host has, and what the better ones need";
/** A network is a namespace of the kernel's, and so is who user 0 is. */
const NAMESPACES = "'v2 doctor' tells what forbids user namespaces here, and how to allow them";

/** A rung has no means for something. */
export function notOn(rung: Rung, what: string, remedy = BETTER_RUNGS): V2Error {
  return new V2Error("RUNG", `a view by ${RUNGS[rung].text} (rung ${rung}) has no ${what}`, {
    remedy,
    exitCode: EXIT.unavailable,
  });
}

function startOutside(options: SupervisorOptions, rung: "C" | "D"): StartedSupervisor {
  if (options.filtering === true && !FILTERING_RUNGS.includes(rung)) {
    throw notOn(rung, "filter in the kernel, which kmview stands for; umview takes it");
  }
  if (options.root) {
    throw notOn(rung, "user 0 (--root)", `${NAMESPACES}; fakeroot(1) pretends for files`);
  }
  if (options.config.net.length > 0) {
    const alone = "'v2 stack' puts hosts on cables without any";
    throw notOn(rung, "network of its own (--net)", `${NAMESPACES}; ${alone}`);
  }
  const { paths } = options.config.traps;
  const outside = newOutsideConfig(rung === "D", (paths?.deny.length ?? 0) > 0);
  try {
    const started = spawnSupervisor(options, undefined, { rung, outside });
    return { ...started, outside };
  } catch (error) {
    rmSync(outside.folder, { recursive: true, force: true });
    throw error;
  }
}

function startWithNamespaces(options: SupervisorOptions, rung: Rung): StartedSupervisor {
  const refusal = viewRefusal(options.config.net.length > 0);
  if (refusal !== undefined) {
    throw new V2Error("VIEW_REFUSED", `the host refuses ${refusal.what}: ${refusal.reason}`, {
      remedy: refusal.remedy,
      exitCode: EXIT.unavailable,
    });
  }
  return spawnSupervisor(options, identityMaps(options.root), { rung });
}

/** @param maps undefined: no user namespace. */
function spawnSupervisor(
  options: SupervisorOptions,
  maps: IdentityMaps | undefined,
  engine: Pick<SupervisorConfig, "rung" | "outside">,
): StartedSupervisor {
  const { orphan } = options;
  const store = orphan && options.config.interpreter !== undefined;
  const config: SupervisorConfig = {
    ...options.config,
    ...engine,
    lifeline: orphan ? undefined : SPAWNED_LIFELINE,
  };
  const image = supervisorProgram({
    session: SPAWNED_SESSION,
    maps,
    orphan,
    store,
    argv: [
      process.execPath,
      fileURLToPath(new URL("./server/supervisor.js", import.meta.url)),
      JSON.stringify(config),
    ],
    environment: environmentStrings(process.env),
  });
  const [session, theirs] = sessionPair();
  const executable = executableInMemory("v2-supervisor", image);
  const stdio: StdioOptions = ["ignore", "ignore", "ignore", theirs];
  stdio.push(orphan ? "ignore" : "pipe");
  stdio.push(options.traceTo ?? "ignore", options.logTo ?? "ignore");
  const ofStore = store ? storeDescriptors() : [];
  stdio.push(...ofStore);
  let child: ChildProcess;
  try {
    const argv0 = store ? { argv0: "v2 store" } : {};
    child = spawn(`/proc/self/fd/${executable}`, [], { stdio, ...argv0 });
  } finally {
    closeSync(executable);
    for (const descriptor of [theirs, ...ofStore]) closeDescriptor(descriptor);
  }
  if (child.pid === undefined) {
    child.once("error", () => {}); // it comes later, and says no more than that
    throw tooFewProcesses("the supervisor cannot be started");
  }
  try {
    const pid = awaitSupervisor(session, child.pid, maps);
    const needed = (config.modules ?? []).length === 0 ? [] : awaitModuleReport(session);
    const modules = needed.length === 0 ? {} : { modules: encodeTraps(needed) };
    const traps = { ...config.traps, ...modules };
    if (orphan) {
      waitForChild(child.pid);
      child.unref();
      return { pid, session, traps, child: undefined };
    }
    return { pid, session, traps, child };
  } catch (error) {
    closeDescriptor(session);
    throw error;
  }
}

/** Answers the launcher's questions until the supervisor runs. */
function awaitSupervisor(
  session: number,
  launcherPid: number,
  maps: IdentityMaps | undefined,
): number {
  for (;;) {
    const message = receiveMessage(session);
    if (message === undefined) throw tooFewProcesses("the supervisor ended at its start");
    const view = new DataView(message.octets.buffer, message.octets.byteOffset);
    const kind = message.octets[0];
    for (const descriptor of message.descriptors) closeDescriptor(descriptor);
    if (kind === MESSAGE.maps && maps !== undefined) {
      writeFileSync(`/proc/${launcherPid}/uid_map`, maps.uid);
      writeFileSync(`/proc/${launcherPid}/gid_map`, maps.gid);
      sendMessage(session, Uint8Array.of(0, 0, 0, 0));
    } else if (kind === MESSAGE.running) return view.getUint32(1, true);
    else throw refused(message.octets, view.getUint32(1, true));
  }
}

function refused(octets: Uint8Array, errno: number): V2Error {
  const label = new TextDecoder().decode(octets.subarray(MESSAGE_HEADER_OCTETS));
  if (label === "a process") return tooFewProcesses("the supervisor cannot be started");
  const userNamespace = label === "a user namespace" || label.endsWith("map");
  return new V2Error("VIEW_REFUSED", `the host refuses ${label}: ${errnoText(errno)}`, {
    remedy: userNamespace
      ? "views need unprivileged user namespaces; 'v2 doctor' tells what forbids them and how to allow them"
      : "'v2 doctor' shows what this host allows",
    exitCode:
      errno === ERRNO.EPERM || errno === ERRNO.EACCES ? EXIT.noPermission : EXIT.unavailable,
  });
}

/** `NAME=value` strings of an environment. */
export function environmentStrings(environment: NodeJS.ProcessEnv): string[] {
  return Object.entries(environment).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${value}`],
  );
}

/** Where execvp(3) would look for a program, in its order. */
export function commandFor(argv: readonly string[], environment: NodeJS.ProcessEnv): Command {
  const program = argv[0] ?? "";
  const candidates = candidatesOf(program, environment["PATH"]);
  return { name: program, candidates, argv, environment: environmentStrings(environment) };
}

/**
 * Open-file limits of our parent: Node has raised our own soft limit, and a guest started by hand
 * would have had the parent's.
 */
function parentOpenFiles(): readonly [bigint, bigint] | undefined {
  try {
    const limits = readFileSync(`/proc/${process.ppid}/limits`, "utf8");
    const found = /^Max open files\s+(\d+)\s+(\d+)/m.exec(limits);
    return found === null ? undefined : [BigInt(found[1]!), BigInt(found[2]!)];
  } catch {
    return undefined;
  }
}

/** Which view the guest goes to. */
export type Destination = GuestPlan["enter"];

/**
 * A session with the supervisor of the view that this process is in; undefined outside of views.
 */
export function sessionOfOwnView(): number | undefined {
  const session = callForDescriptor(VUSESSION);
  return session < 0 ? undefined : session;
}

/** A destination that is made now, inside the view that this process is in. */
export function viewInside(options: {
  readonly facts: ViewFacts;
  readonly root: boolean;
  readonly hostName: string | undefined;
  readonly mounts: readonly MountSpec[];
}): Destination {
  const { facts, root, hostName, mounts } = options;
  const network = (facts.net ?? []).length > 0;
  return { nest: { facts, maps: identityMaps(root), hostName, mounts, network } };
}

/** A destination that is made now, under a supervisor. */
export function newView(options: {
  readonly supervisorPid: number;
  readonly facts?: ViewFacts;
  readonly maps?: IdentityMaps;
  readonly hostName: string | undefined;
  readonly mounts: readonly MountSpec[];
  readonly network: boolean;
  /** Set when the view has no namespaces. */
  readonly outside?: OutsideIdentity | undefined;
}): Destination {
  const { outside, ...create } = options;
  if (outside === undefined) return { create: { facts: {}, ...create } };
  const { supervisorPid, hostName, mounts } = create;
  const { traced, mark, pass, denies } = outside;
  return { outside: { supervisorPid, hostName, mounts, traced, mark, pass, denies } };
}

/** A running view. */
export function existingView(view: RegisteredView): Destination {
  const { pid, supervisorPid, outside } = view;
  if (outside === undefined) return { view: { pid } };
  return newView({ supervisorPid, hostName: undefined, mounts: [], network: false, outside });
}

/** What is trapped of a guest besides level 0. */
export function guestTraps(enter: Destination, traps: ViewTraps): readonly Trap[] {
  const own = "outside" in enter ? [{ calls: OUTSIDE_TRAPS }] : [];
  return [...own, ...filterTraps(traps)];
}

/**
 * Replaces this process by a command in a view.
 * @param session leads to the view's supervisor
 * @param inherited descriptors above standard error that the command gets too
 * @param traps as the supervisor was told
 * @param isInside this process is in a view already: its calls are trapped as they are
 */
export function becomeGuest(
  session: number,
  enter: Destination,
  argv: readonly string[],
  inherited: readonly number[],
  traps: ViewTraps = {},
  isInside = "nest" in enter,
): never {
  const image = guestProgram({
    session,
    enter,
    directory: process.cwd(),
    isAfterNode: true,
    openFiles: parentOpenFiles(),
    traps: isInside ? undefined : guestTraps(enter, traps),
    rules: traps.paths === undefined ? [] : rulesOf(traps.paths),
    command: commandFor(argv, process.env),
  });
  // Node marks what it has inherited close-on-exec.
  for (const descriptor of [0, 1, 2, ...inherited, session]) setCloseOnExec(descriptor, false);
  execInPlace(`/proc/self/fd/${executableInMemory("v2-guest", image)}`, ["v2-guest"]);
}

/**
 * Starts a process in a view as a child of ours; without `argv` a holder that keeps the view alive.
 * The holder of a view inside ours has a stream at `stdio[4]`: see `GuestPlan.lifeline`.
 * @param isInside this process is in a view already
 */
export function spawnGuest(
  session: number,
  enter: Destination,
  argv: readonly string[] | undefined,
  options: {
    readonly stdio: StdioOptions;
    readonly env?: NodeJS.ProcessEnv;
    readonly cwd?: string;
    /** As the supervisor was told. */
    readonly traps?: ViewTraps;
  },
  isInside = "nest" in enter,
): ChildProcess {
  const isBound = argv === undefined && "nest" in enter;
  const image = guestProgram({
    session: SPAWNED_SESSION,
    enter,
    directory: options.cwd ?? process.cwd(),
    isAfterNode: true,
    openFiles: parentOpenFiles(),
    traps: isInside ? undefined : guestTraps(enter, options.traps ?? {}),
    ...(isBound ? { lifeline: SPAWNED_LIFELINE } : {}),
    command: argv === undefined ? undefined : commandFor(argv, options.env ?? process.env),
  });
  const three = Array.isArray(options.stdio)
    ? [...options.stdio, "ignore", "ignore", "ignore"].slice(0, 3)
    : [options.stdio, options.stdio, options.stdio];
  const executable = executableInMemory("v2-guest", image);
  try {
    return spawn(`/proc/self/fd/${executable}`, [], {
      argv0: argv?.[0] ?? "v2 holder",
      stdio: [...three, session, ...(isBound ? ["pipe"] : [])] as StdioOptions,
      detached: argv === undefined,
    });
  } finally {
    closeSync(executable);
    closeDescriptor(session);
  }
}
