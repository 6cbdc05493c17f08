/**
 * A whole tree of mounts copied from one mount namespace and made the root of another:
 * open_tree(2), move_mount(2), pivot_root(2).
 */
import { check, declare, declareSyscall } from "./libc.ts";

const AT_FDCWD = -100;
const OPEN_TREE_CLONE = 1;
const AT_RECURSIVE = 0x8000;
const O_CLOEXEC = 0o2000000;
const MOVE_MOUNT_F_EMPTY_PATH = 4;
const MNT_DETACH = 2;

/** System calls that the C library of 2021 has no functions for; the same on all architectures. */
const SYS_OPEN_TREE = 428;
const SYS_MOVE_MOUNT = 429;
/** pivot_root(2), by architecture of this Node. */
const SYS_PIVOT_ROOT: { readonly [architecture: string]: number } = { x64: 155, arm64: 41 };

const openTree = declareSyscall<(at: number, path: string, flags: number) => number>(
  SYS_OPEN_TREE,
  ["int", "const char *", "uint"],
);
const moveMount = declareSyscall<
  (from: number, fromPath: string, to: number, toPath: string, flags: number) => number
>(SYS_MOVE_MOUNT, ["int", "const char *", "int", "const char *", "uint"]);
const pivotRoot = declareSyscall<(newRoot: string, putOld: string) => number>(
  SYS_PIVOT_ROOT[process.arch] ?? -1,
  ["const char *", "const char *"],
);
const fchdirCall = declare<(fd: number) => number>("int fchdir(int fd)");
const umount2Call = declare<(target: string, flags: number) => number>(
  "int umount2(const char *target, int flags)",
);

/** A copy of all mounts from the calling thread's root down; a descriptor, close-on-exec. */
export function copyMountTree(): number {
  const flags = OPEN_TREE_CLONE | AT_RECURSIVE | O_CLOEXEC;
  return check(openTree(AT_FDCWD, "/", flags), "open_tree", "/");
}

/**
 * Makes a copied tree the root of the mount namespace that the calling thread is in; what was there
 * is let go. Other processes of the namespace must enter it anew (setns) to stand in the new tree.
 */
export function replaceMountTree(tree: number): void {
  check(moveMount(tree, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH), "move_mount", "/");
  check(fchdirCall(tree), "fchdir");
  check(pivotRoot(".", "."), "pivot_root");
  check(umount2Call(".", MNT_DETACH), "umount2", "the old root");
}
