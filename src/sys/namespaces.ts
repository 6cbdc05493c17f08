/** Namespaces of the calling thread: unshare(2), setns(2), /proc/PID/ns. */
import { closeSync, openSync, statSync } from "node:fs";
import { check, declare } from "./libc.ts";

/** CLONE_* of linux/sched.h. */
export const CLONE = {
  FS: 0x200,
  NEWNS: 0x20000,
  NEWUTS: 0x4000000,
  NEWIPC: 0x8000000,
  NEWUSER: 0x10000000,
  NEWPID: 0x20000000,
  NEWNET: 0x40000000,
} as const;

export type NamespaceKind = "mnt" | "uts" | "net" | "user" | "pid" | "ipc";

const unshareCall = declare<(flags: number) => number>("int unshare(int flags)");
const setnsCall = declare<(fd: number, kind: number) => number>("int setns(int fd, int nstype)");

/** unshare(2) for the calling thread alone. */
export function unshare(flags: number): void {
  check(unshareCall(flags), "unshare", `0x${flags.toString(16)}`);
}

/** setns(2): moves the calling thread into the namespace behind a descriptor. */
export function setns(descriptor: number, flag: number): void {
  check(setnsCall(descriptor, flag), "setns", `0x${flag.toString(16)}`);
}

/** The same where it need not succeed: false when the kernel refuses. */
export function tryNamespace(descriptor: number, flag: number): boolean {
  return setnsCall(descriptor, flag) === 0;
}

/** Path of a namespace of a process; `proc` is where the process file system is seen. */
export function namespacePath(pid: number | "self" | "thread-self", kind: NamespaceKind): string {
  return `/proc/${pid}/ns/${kind}`;
}

/** Moves the calling thread into a namespace of another process. */
export function joinNamespace(pid: number, kind: NamespaceKind, flag: number): void {
  const descriptor = openSync(namespacePath(pid, kind), "r");
  try {
    setns(descriptor, flag);
  } finally {
    closeSync(descriptor);
  }
}

/** Inode number that identifies a namespace; undefined when the process is gone. */
export function namespaceId(
  pid: number | "self" | "thread-self",
  kind: NamespaceKind,
): bigint | undefined {
  try {
    return statSync(namespacePath(pid, kind), { bigint: true }).ino;
  } catch {
    return undefined;
  }
}

const ioctlCall = declare<(fd: number, request: number, argument: number) => number>(
  "int ioctl(int fd, unsigned long request, long argument)",
);
const NS_GET_PARENT = 0xb702;

/** Descriptor of the user namespace around another (ioctl_ns(2)); -1 when it is not ours to see. */
export function parentUserNamespace(descriptor: number): number {
  return ioctlCall(descriptor, NS_GET_PARENT, 0);
}
