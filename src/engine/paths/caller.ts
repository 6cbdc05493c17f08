/**
 * Who calls: what /proc/TID/status says of a thread of a guest, as far as files are concerned.
 * Source: proc_pid_status(5).
 */

/** Lower and upper half of a set of capabilities. */
export type Capabilities = readonly [low: number, high: number];

export const NO_CAPABILITIES: Capabilities = [0, 0];

/** A thread of a guest. */
export interface Caller {
  readonly tid: number;
  readonly tgid: number;
  /** For files: the user and group that count, and those of access(2). */
  readonly uid: number;
  readonly gid: number;
  readonly realUid: number;
  readonly realGid: number;
  readonly groups: string;
  /** Effective and permitted capabilities in the view's user namespace. */
  readonly effective: Capabilities;
  readonly permitted: Capabilities;
  readonly umask: number;
  /** Numbers of its process in the pid namespaces that it is seen in, the outermost first. */
  readonly numbers: readonly number[];
  /** An exec changes none of it. */
  readonly isPlain: boolean;
  /** O_PATH descriptor of its root; -1: that of the view. */
  readonly root: number;
  /** O_PATH descriptor of its working directory, once it was needed; else -1. */
  directory: number;
  /** That directory is in a process file system. */
  directoryOnProc: boolean;
}

/** Numbers of a line of /proc/PID/status. */
function numbers(status: string, label: string, radix = 10): number[] {
  const from = status.indexOf(`\n${label}:`) + label.length + 2;
  const line = status.slice(from, status.indexOf("\n", from)).trim();
  return line === "" ? [] : line.split(/\s+/).map((word) => Number.parseInt(word, radix));
}

function mask64(status: string, label: string): Capabilities {
  const from = status.indexOf(`\n${label}:\t`) + label.length + 3;
  const high = Number.parseInt(status.slice(from, from + 8), 16);
  return [Number.parseInt(status.slice(from + 8, from + 16), 16) | 0, high | 0];
}

const same = (list: readonly number[]): boolean => list.every((one) => one === list[0]);

/**
 * @param status text of /proc/TID/status
 * @param inside the thread is in the view's own user namespace: capabilities of another one say
 *   nothing about the files of this one
 */
export function callerOf(tid: number, status: string, inside: boolean, root: number): Caller {
  const uids = numbers(status, "Uid");
  const gids = numbers(status, "Gid");
  const effective = inside ? mask64(status, "CapEff") : NO_CAPABILITIES;
  const permitted = inside ? mask64(status, "CapPrm") : NO_CAPABILITIES;
  const bounding = mask64(status, "CapBnd");
  // exec gives uid 0 all that its bounding set allows, and takes all from others.
  const whole = uids[0] === 0 && inside ? bounding : NO_CAPABILITIES;
  return {
    tid,
    tgid: numbers(status, "Tgid")[0]!,
    uid: uids[3]!,
    gid: gids[3]!,
    realUid: uids[0]!,
    realGid: gids[0]!,
    groups: numbers(status, "Groups").join(" "),
    effective,
    permitted,
    umask: numbers(status, "Umask", 8)[0] ?? 0,
    numbers: numbers(status, "NStgid"),
    isPlain: same(uids) && same(gids) && whole[0] === effective[0] && whole[1] === effective[1],
    root,
    directory: -1,
    directoryOnProc: false,
  };
}
