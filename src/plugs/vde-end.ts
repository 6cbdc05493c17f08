/**
 * vde://DIR[PORT]: a cable to any VDE switch, ours or another's. The handshake is in
 * vde/handshake.ts; here are the sockets around it: the control stream to DIR/ctl, a datagram
 * socket with a name of its own that is unlinked as soon as both sides are connected.
 */
import { chmodSync, readFileSync, rmSync, statSync } from "node:fs";
import { homedir, tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { ERRNO, errnoName, errnoText, EXIT, V2Error } from "../base/index.ts";
import {
  bindUnix,
  closeFd,
  connectUnix,
  pollFd,
  READY,
  receiveOctets,
  sendOctets,
  setSendBuffer,
  unixSocket,
} from "../sys/index.ts";
import { ADDRESS_OCTETS, emitRequest, parseReply } from "../vde/index.ts";
import { DatagramEnd, OFFLOAD_SEND_BUFFER_OCTETS, SEND_BUFFER_OCTETS } from "./datagram-end.ts";
import type { CableEnd } from "./end.ts";

/**
 * How long a switch may take to answer; Debian's never answers a wanted port that it does not have.
 */
const ANSWER_MS = 3000;
/** Names tried for the data socket before giving up. */
const NAMES_MAX = 100;

export interface VdeEndOptions {
  /** The switch's directory. */
  readonly directory: string;
  /** Wanted port; 0: any. */
  readonly port?: number;
  /** What the switch shows for this cable. */
  readonly description?: string;
  /** Mode of the data socket's name while it exists (0700). */
  readonly mode?: number;
  /** Ask for unfinished frames (CableEnd.offload); a switch that knows none gives none. */
  readonly offload?: boolean;
}

/**
 * Directories tried for an empty VNL, in order: what the user chose, the system's switch, the
 * user's.
 */
export function defaultSwitches(): string[] {
  return [join(homedir(), ".vde2/default.switch"), "/var/run/vde.ctl", "/tmp/vde.ctl"];
}

/**
 * Opens the address of a `vde://` VNL: DIR, DIR[PORT], a file whose first line is such an address,
 * or nothing for the first of the default switches that answers.
 */
export function openVdeName(
  address: string,
  options: Omit<VdeEndOptions, "directory" | "port"> = {},
): CableEnd {
  if (address !== "") return openVde({ ...options, ...parseAddress(address) });
  let last: unknown;
  for (const directory of defaultSwitches()) {
    try {
      return openVde({ ...options, ...parseAddress(directory) });
    } catch (error) {
      last = error;
    }
  }
  throw last;
}

function parseAddress(address: string): { directory: string; port: number } {
  const match = /^(.*)\[(\d*)\]$/.exec(address);
  const named = match?.[1] ?? address;
  const port = Number(match?.[2] ?? 0);
  const isFile = statSync(named, { throwIfNoEntry: false })?.isFile() === true;
  if (!isFile) return { directory: named, port };
  const line = readFileSync(named, "utf8")
    .split("\n")[0]!
    .trim()
    .replace(/^vde:\/\//, "");
  return { directory: line, port };
}

/**
 * Plugs into a switch; blocks the thread until it answers, at most some seconds. A thread that
 * serves a switch itself uses `openVdeAsync`.
 * @throws V2Error: no switch there, no permission, the switch refused, the name is too long.
 */
export function openVde(options: VdeEndOptions): CableEnd {
  const call = new VdeCall(options);
  return call.finish(call.hear(ANSWER_MS) ? undefined : noAnswer(options));
}

/** As `openVde`, for a thread that has other things to do meanwhile. */
export async function openVdeAsync(options: VdeEndOptions): Promise<CableEnd> {
  const call = new VdeCall(options);
  const lastMs = performance.now() + ANSWER_MS;
  while (!call.hear(0)) {
    if (performance.now() > lastMs) return call.finish(noAnswer(options));
    await setTimeout(1);
  }
  return call.finish(undefined);
}

/** A handshake under way: the request is sent, the answer is awaited. */
class VdeCall {
  readonly #name: string;
  readonly #control: number;
  #data = -1;
  #boundName: string | undefined;
  readonly #reply = new Uint8Array(ADDRESS_OCTETS);
  #length = 0;

  constructor(options: VdeEndOptions) {
    const { directory, port = 0 } = options;
    this.#name = nameOf(options);
    this.#control = connectControl(directory);
    try {
      this.#data = unixSocket("datagram");
      const bound = bindSomewhere(this.#data, directory);
      this.#boundName = bound;
      permit(bound, `${directory}/ctl`, options.mode ?? 0o700);
      const description = describe(options.description ?? "v2");
      const request = emitRequest(bound, port, description, options.offload === true);
      const sent = sendOctets(this.#control, request, request.length);
      if (sent !== request.length) throw refused(this.#name);
    } catch (error) {
      this.finish(error);
    }
  }

  /** @returns whether the answer is complete, or will never be. */
  hear(timeoutMs: number): boolean {
    while (this.#length < ADDRESS_OCTETS) {
      if (pollFd(this.#control, READY.readable, timeoutMs) === 0) return false;
      const octets = receiveOctets(this.#control, this.#reply.subarray(this.#length));
      if (octets <= 0) return true;
      this.#length += octets;
    }
    return true;
  }

  /** Connects to the address in the answer. @param error why it cannot be: frees everything. */
  finish(error: unknown): CableEnd {
    let offload = false;
    try {
      if (error !== undefined) throw error;
      const reply = parseReply(this.#reply.subarray(0, this.#length));
      if (reply === undefined) throw refused(this.#name);
      offload = reply.offload;
      const result = connectUnix(this.#data, reply.address);
      if (result < 0) throw failed(`data socket of switch '${this.#name}'`, -result);
      setSendBuffer(this.#data, offload ? OFFLOAD_SEND_BUFFER_OCTETS : SEND_BUFFER_OCTETS);
    } catch (cause) {
      closeFd(this.#data);
      closeFd(this.#control);
      throw cause;
    } finally {
      if (this.#boundName !== undefined) rmSync(this.#boundName, { force: true });
    }
    return new DatagramEnd({
      scheme: "vde",
      description: `vde://${this.#name}`,
      fd: this.#data,
      controlFd: this.#control,
      offload,
    });
  }
}

function nameOf({ directory, port = 0 }: VdeEndOptions): string {
  return port === 0 ? directory : `${directory}[${port}]`;
}

function connectControl(directory: string): number {
  const control = unixSocket("stream");
  const result = connectUnix(control, `${directory}/ctl`);
  if (result === 0) return control;
  closeFd(control);
  if (result === -ERRNO.ENOENT || result === -ERRNO.ECONNREFUSED || result === -ERRNO.ENOTDIR) {
    throw new V2Error("NO_SWITCH", `no switch at '${directory}': ${errnoText(-result)}`, {
      remedy: `start one with: v2 switch --sock ${directory}`,
      exitCode: EXIT.failed,
    });
  }
  throw failed(`switch '${directory}'`, -result);
}

/** A name beside the switch's own, or in a public directory when that one may not be written. */
function bindSomewhere(fd: number, directory: string): string {
  const pid = String(process.pid).padStart(5, "0");
  let last: unknown;
  for (const prefix of [`${directory}/.`, `${tmpdir()}/vde.`, "/var/run/vde.", "/var/tmp/vde."]) {
    for (let counter = 0; counter < NAMES_MAX; counter++) {
      const path = `${prefix}${pid}-${String(counter).padStart(5, "0")}`;
      try {
        bindUnix(fd, path);
        return path;
      } catch (error) {
        last = error;
        if (!(error instanceof V2Error) || error.code !== "EADDRINUSE") break;
      }
    }
  }
  throw last;
}

/**
 * Lets the switch open the name: when its control socket belongs to another ordinary user everybody
 * may, because an unprivileged process cannot hand a name to one other user.
 */
function permit(path: string, controlPath: string, mode: number): void {
  const owner = statSync(controlPath).uid;
  const isForeign = owner !== 0 && owner !== userInfo().uid;
  chmodSync(path, isForeign ? mode | 0o077 : mode);
}

function describe(text: string): string {
  const { username } = userInfo();
  const ssh = process.env["SSH_CLIENT"]?.split(" ")[0];
  return `${text} user=${username} pid=${process.pid}${ssh === undefined ? "" : ` SSH=${ssh}`}`;
}

function noAnswer(options: VdeEndOptions): V2Error {
  return new V2Error("NO_ANSWER", `switch '${nameOf(options)}' does not answer`, {
    remedy: "ask for a port that it has, or for none",
  });
}

function refused(name: string): V2Error {
  return new V2Error("REFUSED", `switch '${name}' refused the cable`, {
    remedy: "the wanted port may not exist, belong to another user, or every port is taken",
  });
}

function failed(subject: string, number: number): V2Error {
  const isDenied = number === ERRNO.EACCES || number === ERRNO.EPERM;
  return new V2Error(errnoName(number), `${subject}: ${errnoText(number)}`, {
    ...(isDenied ? { remedy: "ask its owner for access (v2 switch --mode 660 --group NAME)" } : {}),
    exitCode: isDenied ? EXIT.noPermission : EXIT.failed,
  });
}
