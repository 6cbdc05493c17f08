/**
 * Numbers of the system calls that the engine itself makes or answers; syscall-tables.ts has all.
 * Sources: arch/x86/entry/syscalls/syscall_64.tbl and syscall_32.tbl of Linux.
 */

/** x86_64 (AUDIT_ARCH_X86_64). */
export const SYS_X86_64 = {
  read: 0,
  write: 1,
  open: 2,
  close: 3,
  poll: 7,
  mmap: 9,
  munmap: 11,
  rt_sigaction: 13,
  rt_sigprocmask: 14,
  ioctl: 16,
  dup2: 33,
  pause: 34,
  getpid: 39,
  socket: 41,
  connect: 42,
  sendmsg: 46,
  recvmsg: 47,
  setsockopt: 54,
  clone: 56,
  execve: 59,
  wait4: 61,
  fcntl: 72,
  getcwd: 79,
  chdir: 80,
  setpgid: 109,
  capset: 126,
  prctl: 157,
  setrlimit: 160,
  mount: 165,
  umount2: 166,
  sethostname: 170,
  setdomainname: 171,
  exit_group: 231,
  tgkill: 234,
  openat: 257,
  unshare: 272,
  eventfd2: 290,
  dup3: 292,
  setns: 308,
  seccomp: 317,
  open_tree: 428,
  move_mount: 429,
  fsopen: 430,
  fsconfig: 431,
  fsmount: 432,
  fspick: 433,
  pidfd_open: 434,
  close_range: 436,
  mount_setattr: 442,
} as const;

/** i386 (AUDIT_ARCH_I386): what a 32-bit program on the same machine calls. */
export const SYS_I386 = {
  mount: 21,
  umount: 22,
  umount2: 52,
  sethostname: 74,
  setdomainname: 121,
  open_tree: 428,
  move_mount: 429,
  fsopen: 430,
  fsconfig: 431,
  fsmount: 432,
  fspick: 433,
  mount_setattr: 442,
} as const;

/**
 * The private call of a view, on every architecture: answered with a descriptor of the view's
 * control socket. No kernel has it, so outside a view it fails with ENOSYS.
 */
export const VUCTL = 22101;

/**
 * The private call that begins a view in a view, on every architecture: answered with a session
 * that leads to the view's supervisor. No kernel has it, so outside a view it fails with ENOSYS.
 */
export const VUSESSION = 22102;

/** AUDIT_ARCH_* of linux/audit.h: how a seccomp filter tells the calling conventions apart. */
export const AUDIT_ARCH_X86_64 = 0xc000003e;
export const AUDIT_ARCH_I386 = 0x40000003;
export const AUDIT_ARCH_AARCH64 = 0xc00000b7;

/** x32 calls carry this bit in the number (arch/x86/include/uapi/asm/unistd.h). */
export const X32_SYSCALL_BIT = 0x40000000;
