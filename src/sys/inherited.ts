/**
 * Descriptors that this process got from whoever started it. Node marks them close-on-exec at its
 * start, so a program that takes Node's place would lose the file of `v2 view … 7< file`, or make's
 * job server.
 */
import { lstatSync, readdirSync, readlinkSync } from "node:fs";

const STANDARD_ERROR = 2;
/** The link in /proc/PID/fd is readable or writable as the descriptor is (proc(5)). */
const S_IWUSR = 0o200;

/** A descriptor and what it leads to, as /proc/PID/fd tells: "/etc/hosts", "pipe:[4711]". */
export interface OpenDescriptor {
  readonly fd: number;
  readonly target: string;
  /** May be written to. */
  readonly writable: boolean;
}

function openDescriptors(): OpenDescriptor[] {
  return readdirSync("/proc/self/fd").flatMap((name) => {
    const target = targetOf("self", Number(name));
    // The descriptor that read the directory is closed by now.
    if (target === undefined) return [];
    const writable = (lstatSync(`/proc/self/fd/${name}`).mode & S_IWUSR) !== 0;
    return [{ fd: Number(name), target, writable }];
  });
}

function targetOf(pid: number | "self", fd: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/fd/${fd}`);
  } catch {
    return undefined;
  }
}

/**
 * Which of the open descriptors above standard error are not Node's own. Node has event
 * descriptors, pipes with both ends in this process, and /dev/null; one like these is inherited
 * only when the parent has the same under the same number.
 */
export function withoutThoseOfNode(
  open: readonly OpenDescriptor[],
  ofParent: (fd: number) => string | undefined,
): number[] {
  const written = new Set<string>();
  const read = new Set<string>();
  for (const { target, writable } of open) (writable ? written : read).add(target);
  return open
    .filter(({ fd, target }) => {
      if (fd <= STANDARD_ERROR || target.startsWith("anon_inode:")) return false;
      const isPair = target.startsWith("pipe:") && written.has(target) && read.has(target);
      return isPair || target === "/dev/null" ? ofParent(fd) === target : true;
    })
    .map(({ fd }) => fd);
}

/**
 * The descriptors above standard error that this process has inherited. To be asked before it opens
 * any of its own.
 */
export function inheritedDescriptors(): number[] {
  return withoutThoseOfNode(openDescriptors(), (fd) => targetOf(process.ppid, fd));
}
