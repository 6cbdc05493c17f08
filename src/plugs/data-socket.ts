/**
 * The switch's side of one cable: a datagram socket connected to the client's and named
 * DIR/PORT.FD. Connected both ways, two unix sockets are bounded only by the sender's buffer, not
 * by net.unix.max_dgram_qlen; and the client unlinks its name right after the answer, so this side
 * connects first.
 */
import { accessSync, chmodSync, chownSync, constants, rmSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { errnoText, V2Error } from "../base/index.ts";
import { bindUnix, closeFd, connectUnix, setSendBuffer, unixSocket } from "../sys/index.ts";
import { canAgree, type Request } from "../vde/index.ts";
import { OFFLOAD_SEND_BUFFER_OCTETS, SEND_BUFFER_OCTETS } from "./datagram-end.ts";
import { modes, type SwitchDirectory } from "./switch-directory.ts";

export interface DataSocket {
  /** Owned by the packet thread once it was given to it. */
  readonly fd: number;
  readonly path: string;
  /** Owner of the client's name; undefined: abstract. */
  readonly user: number | undefined;
  /** Agreed on unfinished frames: a virtio-net header is in front of each. */
  readonly offload: boolean;
  /** Takes the name away; idempotent. */
  readonly unlink: () => void;
}

/**
 * Connects to a client that asked for a cable.
 * @param asksOffload the client can carry unfinished frames.
 * @param choosePort gets the client's user; undefined: refused.
 * @throws V2Error BAD_PATH: the client's name cannot be connected to; NO_PORT.
 */
export function plugDataSocket(
  request: Request,
  directory: SwitchDirectory,
  asksOffload: boolean,
  choosePort: (user: number | undefined) => number | undefined,
): DataSocket {
  const user = ownerOf(request);
  const port = choosePort(user);
  if (port === undefined) {
    throw new V2Error("NO_PORT", `port ${request.wantedPort} cannot be had`);
  }
  const fd = unixSocket("datagram");
  let path: string | undefined;
  let offload = false;
  try {
    const result = connectUnix(fd, request.address);
    if (result < 0) {
      const text = errnoText(-result);
      throw new V2Error("BAD_PATH", `data socket '${request.path ?? "abstract"}': ${text}`);
    }
    path = join(directory.directory, `${String(port).padStart(3, "0")}.${fd}`);
    rmSync(path, { force: true });
    bindUnix(fd, path);
    permit(path, user, directory);
    offload = asksOffload && canAgree(path);
    setSendBuffer(fd, offload ? OFFLOAD_SEND_BUFFER_OCTETS : SEND_BUFFER_OCTETS);
  } catch (error) {
    closeFd(fd);
    if (path !== undefined) rmSync(path, { force: true });
    throw error;
  }
  const name = path;
  return {
    fd,
    path,
    user,
    offload,
    unlink: () => {
      rmSync(name, { force: true });
      unlinkOrphan(request.path, directory.directory);
    },
  };
}

/**
 * A client killed before it was answered leaves its name; in our directory we clear it away.
 * Whether the socket behind it is dead cannot be asked: its stream ends a moment before it does.
 */
function unlinkOrphan(path: string | undefined, directory: string): void {
  if (path === undefined || dirname(path) !== directory || !basename(path).startsWith(".")) return;
  if (statSync(path, { throwIfNoEntry: false })?.isSocket() === true) rmSync(path, { force: true });
}

/** The owner of the client's name, which must be readable and writable for the switch. */
function ownerOf(request: Request): number | undefined {
  if (request.path === undefined) return undefined;
  try {
    accessSync(request.path, constants.R_OK | constants.W_OK);
    const status = statSync(request.path);
    if (!status.isSocket()) throw new Error("not a socket");
    return status.uid;
  } catch (cause) {
    throw new V2Error("BAD_PATH", `data socket '${request.path}': ${(cause as Error).message}`, {
      cause,
    });
  }
}

/** A superuser's switch gives the name to the client's user alone; an ordinary user's cannot. */
function permit(path: string, user: number | undefined, directory: SwitchDirectory): void {
  const { mode } = modes(directory);
  const isSuperuser = process.getuid?.() === 0;
  if (isSuperuser && user !== undefined) {
    chmodSync(path, mode & 0o700);
    chownSync(path, user, directory.group ?? process.getgid!());
  } else {
    chmodSync(path, mode);
    if (directory.group !== undefined) chownSync(path, process.getuid!(), directory.group);
  }
}
