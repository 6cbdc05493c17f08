/**
 * The directory of a switch: who may enter it, whether a switch already lives in it, how it is
 * left.
 */
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  rmdirSync,
  rmSync,
  statSync,
} from "node:fs";
import { join } from "node:path";
import { V2Error } from "../base/index.ts";
import { isStreamListening, SOCKET_PATH_OCTETS_MAX } from "../sys/index.ts";

/** Exit code of a switch whose directory is taken, as vde_switch's. */
const EXIT_TAKEN = 255;
/** Longest name made in the directory: "/4096.1048576". */
const NAME_OCTETS_MAX = 13;
const MODE_DEFAULT = 0o600;
const DIRECTORY_MODE_DEFAULT = 0o2700;
const STICKY = 0o1000;

export interface SwitchDirectory {
  readonly directory: string;
  /** Mode of the sockets (0600). */
  readonly mode?: number;
  /** Mode of the directory (02700; with `mode` alone: x where it has r or w, and setgid). */
  readonly directoryMode?: number;
  /** Group that owns directory and sockets. */
  readonly group?: number;
}

/**
 * Makes the directory, or takes over one that a dead switch left.
 * @returns its real path.
 * @throws V2Error EADDRINUSE (exit code 255) when a switch answers there; ENAMETOOLONG; ENOTDIR.
 */
export function claimDirectory(options: SwitchDirectory): { readonly directory: string } {
  const isMade = makeDirectory(options.directory);
  const directory = realpathSync(options.directory);
  const octets = Buffer.byteLength(directory) + NAME_OCTETS_MAX;
  if (octets > SOCKET_PATH_OCTETS_MAX) {
    if (isMade) rmdirSync(directory);
    throw new V2Error(
      "ENAMETOOLONG",
      `directory '${directory}' is too long: its sockets would have names of ${octets} octets, ` +
        `the limit is ${SOCKET_PATH_OCTETS_MAX}`,
      { remedy: "use a shorter directory, for instance one under /tmp or $XDG_RUNTIME_DIR" },
    );
  }
  const control = join(directory, "ctl");
  if (isStreamListening(control)) {
    throw new V2Error("EADDRINUSE", `switch '${directory}': Address already in use`, {
      remedy: "a switch runs there; plug into it, or choose another directory",
      exitCode: EXIT_TAKEN,
    });
  }
  removeLeftovers(directory);
  secureDirectory(directory, options);
  return { directory };
}

/** Takes away the sockets of a switch that died here: `ctl` and those named PORT.FD. */
function removeLeftovers(directory: string): void {
  for (const name of readdirSync(directory)) {
    if (name !== "ctl" && !/^\d{3,4}\.\d+$/.test(name)) continue;
    const path = join(directory, name);
    if (lstatSync(path).isSocket()) rmSync(path);
  }
}

/** Mode and group of the `ctl` socket. */
export function secureControl(options: SwitchDirectory): void {
  const control = join(options.directory, "ctl");
  chmodSync(control, modes(options).mode);
  if (options.group !== undefined) chownSync(control, process.getuid!(), options.group);
}

/** Removes the directory if nothing of anybody is left in it. */
export function releaseDirectory(directory: string): void {
  rmSync(join(directory, "ctl"), { force: true });
  try {
    rmdirSync(directory);
  } catch {
    // Names of clients that are still there keep it, as they keep vde_switch's.
  }
}

function makeDirectory(directory: string): boolean {
  try {
    mkdirSync(directory, { mode: 0o700 });
    return true;
  } catch (cause) {
    const status = statSync(directory, { throwIfNoEntry: false });
    if (status?.isDirectory() === true) return false;
    const { code = "EIO", message } = cause as NodeJS.ErrnoException;
    throw new V2Error(
      status === undefined ? code : "ENOTDIR",
      `directory '${directory}': ${message}`,
      {
        remedy: "name a directory that exists or whose parent does",
        cause,
      },
    );
  }
}

/** The modes of sockets and directory that follow from what was given. */
export function modes(options: SwitchDirectory): { mode: number; directoryMode: number } {
  const { mode, directoryMode } = options;
  if (directoryMode !== undefined) {
    return { mode: mode ?? directoryMode & 0o666, directoryMode };
  }
  if (mode === undefined) return { mode: MODE_DEFAULT, directoryMode: DIRECTORY_MODE_DEFAULT };
  const search = ((mode & 0o444) >> 2) | ((mode & 0o222) >> 1);
  return { mode, directoryMode: 0o2000 | mode | search };
}

function secureDirectory(directory: string, options: SwitchDirectory): void {
  const status = statSync(directory);
  // Differs from vde_switch: a public directory such as /tmp, or another user's, keeps its mode.
  const isOurs = status.uid === process.getuid!() && (status.mode & STICKY) === 0;
  if (!isOurs) return;
  if (options.group !== undefined) chownSync(directory, status.uid, options.group);
  chmodSync(directory, modes(options).directoryMode);
}
