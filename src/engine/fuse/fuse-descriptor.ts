/**
 * The kernel mounts a FUSE file system only for whoever is in the user namespace in which its
 * /dev/fuse was opened. A server in a view inside a view has opened it in another one than the
 * supervisor's: so the supervisor opens it anew, mounts, and puts the new descriptor in the place
 * of the server's, which cannot have been used for anything yet.
 *
 * Sources: fuse(4), proc_pid_fdinfo(5), user_namespaces(7).
 */
import { closeSync, fstatSync, readFileSync } from "node:fs";
import { ERRNO } from "../../base/index.ts";
import { closeDescriptor, type CallRequest, OPEN, type Standpoint } from "../../sys/index.ts";
import { withFuseDescriptor, withFuseOwner } from "../../viewos/index.ts";

/** Is the caller in another user namespace than this thread? */
export function isInOtherUserNamespace(standpoint: Standpoint, pid: number): boolean {
  const inode = (path: string): bigint | undefined => {
    const fd = standpoint.openProc(path);
    if (fd === -1) return undefined;
    const { ino } = fstatSync(fd, { bigint: true });
    closeSync(fd);
    return ino;
  };
  return inode(`${pid}/ns/user`) !== inode("thread-self/ns/user");
}

function textOf(standpoint: Standpoint, path: string): string {
  const fd = standpoint.openProc(path);
  if (fd === -1) return "";
  try {
    return readFileSync(fd, "utf8");
  } finally {
    closeSync(fd);
  }
}

/** Ranges of a map as this thread sees them: [first inside, first outside, count]. */
function mapOf(standpoint: Standpoint, pid: number, file: "uid_map" | "gid_map"): number[][] {
  return textOf(standpoint, `${pid}/${file}`)
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/).map(Number));
}

/**
 * Mounts with a FUSE descriptor of the supervisor's own and gives it to the caller.
 * @param copy our copy of the caller's descriptor
 * @param theirs its number in the caller
 * @param data mount data, which names the owner as the caller's user namespace numbers him
 * @param mount performs the mount with other data. @returns 0, or the errno
 * @returns 0, or the errno
 */
export function mountWithOwnFuse(
  standpoint: Standpoint,
  request: CallRequest,
  copy: number,
  theirs: number,
  data: string,
  mount: (data: string) => number,
): number {
  const info = textOf(standpoint, `${request.pid}/fdinfo/${theirs}`);
  const flags = Number.parseInt(/^flags:\s+(\d+)/m.exec(info)?.[1] ?? "0", 8);
  // The same device through our copy of the caller's: whatever /dev is in the view.
  const again = OPEN.readWrite | (flags & OPEN.nonBlock);
  const ours = standpoint.openProc(`thread-self/fd/${copy}`, again);
  if (ours === -1) return ERRNO.EACCES;
  try {
    const { pid } = request;
    const [users, groups] = [mapOf(standpoint, pid, "uid_map"), mapOf(standpoint, pid, "gid_map")];
    const failure = mount(withFuseOwner(withFuseDescriptor(data, ours), users, groups));
    if (failure !== 0) return failure;
    const isClosedOnExec = (flags & OPEN.closeOnExec) !== 0;
    return request.replace(ours, theirs, isClosedOnExec);
  } finally {
    closeDescriptor(ours);
  }
}
