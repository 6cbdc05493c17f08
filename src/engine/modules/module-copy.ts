/**
 * Copies of modules' files in a view with namespaces but without FUSE: a tmpfs of the view's own,
 * mounted where the caller wants it, filled from outside through a descriptor, then read-only.
 */
import { openSync } from "node:fs";
import { ERRNO } from "../../base/index.ts";
import { mount, type CallRequest, type Standpoint, umount2 } from "../../sys/index.ts";
import { MS } from "../../viewos/index.ts";
import type { Grounds } from "../calls/grounds.ts";
import type { CopiedTree, ModuleMount } from "./module-mounts.ts";

const MNT_DETACH = 2;
const octets = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A directory for a copy; an errno: it cannot be mounted there. */
export function mountedTree(
  standpoint: Standpoint,
  grounds: Grounds,
  request: CallRequest,
  { source, target, uid, gid, flags }: ModuleMount,
): CopiedTree | number {
  /** In the caller's place. */
  const there = (action: () => number): number => {
    const inode = standpoint.namespaceOf(request.pid, "mnt");
    const ground = inode === undefined ? undefined : grounds.find("mnt", inode);
    if (ground === undefined || !request.isValid()) return ERRNO.ESRCH;
    grounds.stand(ground);
    return standpoint.at(request.pid, action) ?? ERRNO.ESRCH;
  };
  const kept = (flags | MS.NOSUID | MS.NODEV) >>> 0;
  let descriptor = -1;
  const failure = there(() => {
    const data = octets(`mode=755,uid=${uid},gid=${gid}`);
    const refusal = mount(octets(source), octets(target), octets("tmpfs"), kept & ~MS.RDONLY, data);
    if (refusal === 0) descriptor = openSync(target, "r");
    return refusal;
  });
  if (failure !== 0) return failure;
  const show = (): number => {
    const readOnly = (kept | MS.BIND | MS.REMOUNT | MS.RDONLY) >>> 0;
    return there(() => mount(null, octets(target), null, readOnly, null));
  };
  return {
    descriptor,
    show,
    drop: () => void there(() => umount2(octets(target), MNT_DETACH)),
  };
}
