/**
 * The switches that run on this machine, whoever made them, found by what the kernel knows: a
 * listening stream socket named DIR/ctl, and beside it, in the same process, the management socket.
 * Source: /proc/net/unix (unix(7), proc(5)). Only this network namespace; the consoles only of
 * processes that may be looked into.
 */
import { readdirSync, readFileSync, readlinkSync, realpathSync, statSync } from "node:fs";
import { isAbsolute, resolve } from "node:path";
import { EXIT, V2Error } from "../base/index.ts";

/** Flags of a socket that listens (__SO_ACCEPTCON). */
const LISTENING = "00010000";
const STREAM = "0001";

/** A switch that runs. */
export interface RunningSwitch {
  readonly directory: string;
  /** Process that listens; undefined: it may not be looked into. */
  readonly pid: number | undefined;
  /** Its other listening sockets: the console. */
  readonly consoles: readonly string[];
}

interface ListeningSocket {
  readonly inode: string;
  readonly path: string;
}

/** All switches of this network namespace, by directory. */
export function runningSwitches(): readonly RunningSwitch[] {
  const sockets = listeningSockets(readFileSync("/proc/net/unix", "utf8"));
  const controls = sockets.filter(({ path }) => path.endsWith("/ctl") && isAbsolute(path));
  const owners = controls.length === 0 ? new Map<string, Owner>() : socketOwners(sockets);
  return controls
    .map(({ inode, path }) => {
      const owner = owners.get(inode);
      return {
        directory: path.slice(0, -"/ctl".length),
        pid: owner?.pid,
        consoles: (owner?.paths ?? []).filter((other) => other !== path),
      };
    })
    .sort((a, b) => (a.directory < b.directory ? -1 : 1));
}

/**
 * The management socket that a user means: the socket itself, or that of the switch in a directory.
 * @throws V2Error NO_CONSOLE: the switch has none, or it cannot be found.
 */
export function findConsole(path: string): string {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) return path;
  const directory = realpathSync(path);
  const running = runningSwitches().find((one) => one.directory === directory);
  const [console] = running?.consoles ?? [];
  if (console !== undefined) return console;
  const why = running === undefined ? "no switch runs in" : "no console is known of the switch in";
  throw new V2Error("NO_CONSOLE", `${why} '${path}'`, {
    remedy: "start the switch with --mgmt SOCK and name SOCK",
    exitCode: EXIT.notFound,
  });
}

/** Lines of /proc/net/unix: Num RefCount Protocol Flags Type St Inode Path. */
export function listeningSockets(table: string): readonly ListeningSocket[] {
  return table.split("\n").flatMap((line) => {
    const match = /^\S+ \S+ \S+ (\S+) (\S+) \S+ +(\d+) (.+)$/.exec(line);
    if (match === null || match[1] !== LISTENING || match[2] !== STREAM) return [];
    return match[4]!.startsWith("@") ? [] : [{ inode: match[3]!, path: match[4]! }];
  });
}

interface Owner {
  readonly pid: number;
  readonly paths: readonly string[];
}

/** Which process holds which listening socket, by inode. */
function socketOwners(sockets: readonly ListeningSocket[]): Map<string, Owner> {
  const pathOf = new Map(sockets.map(({ inode, path }) => [inode, path]));
  const owners = new Map<string, Owner>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const inodes = socketInodes(name).filter((inode) => pathOf.has(inode));
    if (inodes.length === 0) continue;
    const base = linkOf(`/proc/${name}/cwd`) ?? "/";
    const paths = [...new Set(inodes.map((inode) => resolve(base, pathOf.get(inode)!)))];
    for (const inode of inodes) owners.set(inode, { pid: Number(name), paths });
  }
  return owners;
}

function socketInodes(pid: string): readonly string[] {
  let names: string[];
  try {
    names = readdirSync(`/proc/${pid}/fd`);
  } catch {
    // Of another user, or just gone.
    return [];
  }
  return names.flatMap((fd) => {
    const match = /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${fd}`) ?? "");
    return match === null ? [] : [match[1]!];
  });
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
