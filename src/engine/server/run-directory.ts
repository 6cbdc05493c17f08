/**
 * Where running views are registered: a private directory of the user, one folder per named view.
 */
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { EXIT, V2Error } from "../../base/index.ts";
import { isListening, namespaceId } from "../../sys/index.ts";
import type { OutsideIdentity } from "../launch/launch-outside.ts";
import type { ViewTraps } from "../calls/view-traps.ts";

/**
 * `$XDG_RUNTIME_DIR/virtualsquare`, or `/tmp/virtualsquare-UID` when that is not set or not ours.
 * Not made here; refused when somebody else made it.
 */
export function runDirectoryPath(): string {
  const uid = process.geteuid!();
  const base = process.env["XDG_RUNTIME_DIR"];
  const directory =
    base !== undefined && isOwnDirectory(base, uid)
      ? join(base, "virtualsquare")
      : `/tmp/virtualsquare-${outerUid(uid)}`;
  if (existsSync(directory) && !isOwnDirectory(directory, uid)) {
    throw new V2Error("RUN_DIRECTORY", `${directory} belongs to somebody else`, {
      remedy: "set XDG_RUNTIME_DIR to a directory of your own",
      exitCode: EXIT.noPermission,
    });
  }
  return directory;
}

/** The same, made with mode 0700 when it is not there. */
export function runDirectory(): string {
  const path = runDirectoryPath();
  mkdirSync(path, { recursive: true, mode: 0o700 });
  // Asked again: somebody else may have been quicker in /tmp.
  const directory = runDirectoryPath();
  chmodSync(directory, 0o700);
  return directory;
}

/** One of the folders of the run directory; not made here. */
export function runFolder(folder: "views" | "labs" | "logs"): string {
  return join(runDirectoryPath(), folder);
}

/** Names in such a folder; none when it is not there. */
export function namesIn(folder: "views" | "labs"): string[] {
  const path = runFolder(folder);
  return existsSync(path) ? readdirSync(path) : [];
}

/** Removes what is empty of the run directory: after the last view nothing is left of it. */
export function tidyRunDirectory(): void {
  const path = runDirectoryPath();
  for (const directory of [join(path, "views"), join(path, "labs"), join(path, "logs"), path]) {
    try {
      rmdirSync(directory);
    } catch {
      // Not empty, or not there.
    }
  }
}

/**
 * Our uid outside our user namespace: the supervisor of a view whose user is uid 0 must find the
 * same directory as the one who made the view.
 */
function outerUid(uid: number): number {
  const maps = readFileSync("/proc/self/uid_map", "utf8").trim().split("\n");
  for (const line of maps) {
    const [inside = 0, outside = 0, count = 0] = line.trim().split(/\s+/).map(Number);
    if (uid >= inside && uid < inside + count) return outside + uid - inside;
  }
  return uid;
}

function isOwnDirectory(path: string, uid: number): boolean {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  return stat !== undefined && stat.isDirectory() && stat.uid === uid;
}

/** What is known of a running view. */
export interface RegisteredView {
  /** "" when it has none: it cannot be entered from outside. */
  readonly name: string;
  /** Its number among those of its supervisor. */
  readonly view: number;
  /** Number of the view that it was made in. */
  readonly parentView?: number;
  /** A process whose namespaces are the view's. */
  readonly pid: number;
  readonly supervisorPid: number;
  /** Identity of the view's user namespace: tells a live view from a reused process number. */
  readonly userNamespace: string;
  /** The named view that it was made in. */
  readonly parent?: string;
  /** The view has no namespaces: how its guests are known and let pass (rung C). */
  readonly outside?: OutsideIdentity;
  /** What is trapped of every process that enters. */
  readonly traps?: ViewTraps;
}

/** A supervisor's socket listens that soon after it was made, in milliseconds. */
const LISTENS_WITHIN_MS = 1000;

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;

/** Throws a usage error unless the text can name a view (and be its host name). */
export function checkViewName(name: string): void {
  if (!NAME.test(name)) {
    throw new V2Error("VIEW_NAME", `'${name}' cannot name a view`, {
      remedy: "use 1 to 64 letters, digits, '-', '_' and '.', beginning with a letter or digit",
      exitCode: EXIT.usage,
    });
  }
}

/** Directory of a named view. */
export function viewDirectory(name: string): string {
  return join(runFolder("views"), name);
}

/** Socket on which the view's supervisor takes new sessions. */
export function sessionSocketPath(name: string): string {
  return join(viewDirectory(name), "session");
}

/**
 * Claims a name: makes the view's directory. A directory left by a supervisor that is gone is taken
 * over; a live one is refused.
 */
export function claimViewName(name: string): string {
  checkViewName(name);
  runDirectory();
  const directory = viewDirectory(name);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  if (isListening(sessionSocketPath(name))) {
    throw new V2Error("VIEW_EXISTS", `a view named '${name}' is running`, {
      remedy: `enter it with 'v2 view exec ${name}', or choose another name`,
    });
  }
  rmSync(sessionSocketPath(name), { force: true });
  return directory;
}

/** The directory of a view without a name is called as no view can be. */
export function placeOf(view: Pick<RegisteredView, "name" | "supervisorPid" | "view">): string {
  return view.name === "" ? `~${view.supervisorPid}-${view.view}` : view.name;
}

/** Writes what others need to enter the view, or to list it. The name of one is claimed before. */
export function registerView(view: RegisteredView): void {
  const directory = viewDirectory(placeOf(view));
  if (view.name === "") {
    runDirectory();
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  }
  writeFileSync(join(directory, "view.json"), JSON.stringify(view), { mode: 0o600 });
}

/**
 * Gives the directory of a view another name; what is written in it is for the caller to mend.
 * Throws a V2Error when a running view has that name.
 */
export function renameView(from: string, to: string): void {
  const directory = claimViewName(to);
  rmSync(directory, { recursive: true, force: true });
  renameSync(viewDirectory(from), directory);
}

/** Forgets a view; nothing happens when it is not there. */
export function forgetView(name: string): void {
  rmSync(viewDirectory(name), { recursive: true, force: true });
  tidyRunDirectory();
}

/** Removes the sockets of servers that were killed. */
function forgetDeadServers(): void {
  const directory = runDirectoryPath();
  const names = existsSync(directory) ? readdirSync(directory) : [];
  for (const name of names.filter((one) => one.startsWith("server-"))) {
    const path = join(directory, name);
    if (!isListening(path)) rmSync(path, { force: true });
  }
  tidyRunDirectory();
}

/** The running named views of this user; leftovers of dead ones are removed. */
export function listViews(): RegisteredView[] {
  return listAllViews().filter(({ name }) => name !== "");
}

/**
 * The same with views that have no name: those that were made in a view, and those that such a view
 * was made in.
 */
export function listAllViews(): RegisteredView[] {
  forgetDeadServers();
  return namesIn("views").flatMap((place) => {
    const view = readView(place);
    if (view !== undefined && isRunning(view)) return [view];
    // A view that stands by another process from now on is about to be registered again.
    const isKept = view?.name === "" && namespaceId(view.supervisorPid, "mnt") !== undefined;
    if (!isKept && isLeft(place)) forgetView(place);
    return [];
  });
}

/**
 * Was it left by a supervisor that was killed? A view that only begins is not registered yet, and
 * its socket begins to listen just after it was made.
 */
function isLeft(name: string): boolean {
  const socket = lstatSync(sessionSocketPath(name), { throwIfNoEntry: false });
  const isRegistered = existsSync(join(viewDirectory(name), "view.json"));
  const isOld = socket !== undefined && Date.now() - socket.mtimeMs > LISTENS_WITHIN_MS;
  return (isRegistered || isOld) && !isListening(sessionSocketPath(name));
}

/** A running view by name. */
export function findView(name: string): RegisteredView | undefined {
  checkViewName(name);
  const view = readView(name);
  return view !== undefined && isRunning(view) ? view : undefined;
}

function readView(place: string): RegisteredView | undefined {
  try {
    const text = readFileSync(join(viewDirectory(place), "view.json"), "utf8");
    return JSON.parse(text) as RegisteredView;
  } catch {
    return undefined;
  }
}

function isRunning({ pid, userNamespace }: RegisteredView): boolean {
  // A dead process that nobody has waited for keeps its user namespace only.
  const isAlive = namespaceId(pid, "mnt") !== undefined;
  return isAlive && String(namespaceId(pid, "user")) === userNamespace;
}

/** A running view by name; throws a V2Error that names the running ones when there is none. */
export function runningView(name: string): RegisteredView {
  const view = findView(name);
  if (view !== undefined) return view;
  const running = listViews().map((known) => known.name);
  throw new V2Error("NO_VIEW", `no view named '${name}' is running`, {
    remedy: running.length === 0 ? "start one: v2 view --name N" : `running: ${running.join(", ")}`,
    exitCode: EXIT.notFound,
  });
}
