/**
 * What every system call is for, and what its arguments are: one text per class. A class is what a
 * module or a trace asks for at once; each call is in exactly one.
 *
 * An argument is a kind (see syscall-arguments.ts). Calls whose names end in `32`, `64` or
 * `_time64` are the same as those without, unless they are listed. `?` as argument list: printed as
 * six words, because the call is gone from kernels or its arguments depend on another.
 *
 * Sources: section 2 of the manual pages; include/linux/syscalls.h of Linux for the order.
 */
import { DATA, MEMORY, SCHEDULE, SIGNAL, SYSTEM } from "./syscall-signatures-hot.ts";

/** Reading the tree of files: opening, examining, listing attributes. */
const PATH_READ = `
open(path, open-flags, mode)
openat(dirfd, path, open-flags, mode)
openat2(dirfd, path, pointer, size)
stat(path, pointer)
lstat(path, pointer)
oldstat(path, pointer)
oldlstat(path, pointer)
newfstatat(dirfd, path, pointer, at-flags)
fstatat(dirfd, path, pointer, at-flags)
statx(dirfd, path, at-flags, hex, pointer)
access(path, access-mode)
faccessat(dirfd, path, access-mode)
faccessat2(dirfd, path, access-mode, at-flags)
readlink(path, pointer, size)
readlinkat(dirfd, path, pointer, size)
getxattr(path, string, pointer, size)
lgetxattr(path, string, pointer, size)
getxattrat(dirfd, path, at-flags, string, pointer, size)
listxattr(path, pointer, size)
llistxattr(path, pointer, size)
listxattrat(dirfd, path, at-flags, pointer, size)
statfs(path, pointer)
name_to_handle_at(dirfd, path, pointer, pointer, at-flags)
open_by_handle_at(fd, pointer, open-flags)
inotify_add_watch(fd, path, hex)
fanotify_mark(fd, hex, hex, dirfd, path)
file_getattr(dirfd, path, pointer, size, at-flags)
uselib(path)
`;

/** Changing the tree of files, or what it says about a file. */
const PATH_WRITE = `
creat(path, mode)
mkdir(path, mode)
mkdirat(dirfd, path, mode)
mknod(path, mode, hex)
mknodat(dirfd, path, mode, hex)
rename(path, path)
renameat(dirfd, path, dirfd, path)
renameat2(dirfd, path, dirfd, path, hex)
link(path, path)
linkat(dirfd, path, dirfd, path, at-flags)
symlink(path, path)
symlinkat(path, dirfd, path)
unlink(path)
unlinkat(dirfd, path, at-flags)
rmdir(path)
chmod(path, mode)
fchmodat(dirfd, path, mode)
fchmodat2(dirfd, path, mode, at-flags)
chown(path, id, id)
lchown(path, id, id)
fchownat(dirfd, path, id, id, at-flags)
truncate(path, size)
utime(path, pointer)
utimes(path, pointer)
futimesat(dirfd, path, pointer)
utimensat(dirfd, path, pointer, at-flags)
setxattr(path, string, pointer, size, hex)
lsetxattr(path, string, pointer, size, hex)
setxattrat(dirfd, path, at-flags, string, pointer, size)
removexattr(path, string)
lremovexattr(path, string)
removexattrat(dirfd, path, at-flags, string)
file_setattr(dirfd, path, pointer, size, at-flags)
acct(path)
swapon(path, hex)
swapoff(path)
quotactl(hex, path, id, pointer)
mq_open(string, open-flags, mode, pointer)
mq_unlink(string)
`;

/** Where relative and absolute names begin. */
const DIRECTORY = `
chdir(path)
fchdir(fd)
getcwd(pointer, size)
chroot(path)
pivot_root(path, path)
`;

/** The mount family, old and new. */
const MOUNT = `
mount(string, path, string, mount-flags, string)
umount(path)
umount2(path, umount-flags)
fsopen(string, hex)
fspick(dirfd, path, hex)
fsconfig(fd, int, string, pointer, int)
fsmount(fd, hex, hex)
move_mount(dirfd, path, dirfd, path, hex)
open_tree(dirfd, path, open-flags)
open_tree_attr(dirfd, path, open-flags, pointer, size)
mount_setattr(dirfd, path, at-flags, pointer, size)
statmount(pointer, pointer, size, hex)
listmount(pointer, pointer, size, hex)
`;

const EXEC = `
execve(path, argv, pointer)
execveat(dirfd, path, argv, pointer, at-flags)
`;

/** Making, ending and awaiting processes and threads. */
const PROCESS = `
clone(clone-flags, pointer, pointer, pointer, pointer)
clone3(pointer, size)
fork()
vfork()
exit(int)
exit_group(int)
wait4(pid, pointer, hex, pointer)
waitpid(pid, pointer, hex)
waitid(int, pid, pointer, hex, pointer)
getpid()
getppid()
gettid()
getpgrp()
getpgid(pid)
setpgid(pid, pid)
getsid(pid)
setsid()
pidfd_open(pid, hex)
pidfd_getfd(fd, fd, hex)
set_tid_address(pointer)
prctl(int, hex, hex, hex, hex)
arch_prctl(hex, pointer)
personality(hex)
ptrace(int, pid, pointer, pointer)
process_vm_readv(pid, pointer, size, pointer, size, hex)
process_vm_writev(pid, pointer, size, pointer, size, hex)
kcmp(pid, pid, int, hex, hex)
seccomp(int, hex, pointer)
process_mrelease(fd, hex)
getrlimit(int, pointer)
setrlimit(int, pointer)
ugetrlimit(int, pointer)
prlimit64(pid, int, pointer, pointer)
getrusage(int, pointer)
set_thread_area(pointer)
get_thread_area(pointer)
modify_ldt(int, pointer, size)
rseq(pointer, size, hex, hex)
vm86(hex, pointer)
vm86old(pointer)
landlock_create_ruleset(pointer, size, hex)
landlock_add_rule(fd, int, pointer, hex)
landlock_restrict_self(fd, hex)
lsm_get_self_attr(int, pointer, pointer, hex)
lsm_set_self_attr(int, pointer, size, hex)
lsm_list_modules(pointer, pointer, hex)
`;

/** User and group numbers, capabilities. */
const IDENTITY = `
getuid()
geteuid()
getgid()
getegid()
getresuid(pointer, pointer, pointer)
getresgid(pointer, pointer, pointer)
getgroups(int, pointer)
setuid(id)
setgid(id)
setreuid(id, id)
setregid(id, id)
setresuid(id, id, id)
setresgid(id, id, id)
setfsuid(id)
setfsgid(id)
setgroups(int, pointer)
capget(pointer, pointer)
capset(pointer, pointer)
umask(mode)
`;

/** What the machine is called. */
const NAMES = `
uname(pointer)
olduname(pointer)
oldolduname(pointer)
sethostname(bytes, size)
setdomainname(bytes, size)
`;

/** Clocks, sleeping, timers. */
const TIME = `
time(pointer)
stime(pointer)
gettimeofday(pointer, pointer)
settimeofday(pointer, pointer)
clock_gettime(int, pointer)
clock_settime(int, pointer)
clock_getres(int, pointer)
clock_adjtime(int, pointer)
clock_nanosleep(int, hex, pointer, pointer)
adjtimex(pointer)
nanosleep(pointer, pointer)
alarm(size)
getitimer(int, pointer)
setitimer(int, pointer, pointer)
timer_create(int, pointer, pointer)
timer_settime(int, hex, pointer, pointer)
timer_gettime(int, pointer)
timer_getoverrun(int)
timer_delete(int)
timerfd_create(int, hex)
timerfd_settime(fd, hex, pointer, pointer)
timerfd_gettime(fd, pointer)
times(pointer)
ftime(pointer)
`;

const SOCKET_CREATE = `
socket(family, socket-type, int)
socketpair(family, socket-type, int, pointer)
`;

/** What is done with a socket, apart from read and write. */
const SOCKET_OPS = `
bind(fd, address, size)
connect(fd, address, size)
listen(fd, int)
accept(fd, pointer, pointer)
accept4(fd, pointer, pointer, hex)
getsockname(fd, pointer, pointer)
getpeername(fd, pointer, pointer)
sendto(fd, pointer, size, hex, address, size)
recvfrom(fd, pointer, size, hex, pointer, pointer)
sendmsg(fd, pointer, hex)
sendmmsg(fd, pointer, int, hex)
recvmsg(fd, pointer, hex)
recvmmsg(fd, pointer, int, hex, pointer)
setsockopt(fd, int, int, pointer, size)
getsockopt(fd, int, int, pointer, pointer)
shutdown(fd, int)
socketcall(socketcall, pointer)
`;

const IOCTL = `
ioctl(fd, hex, hex)
stty(?)
gtty(?)
`;

const NAMESPACES = `
unshare(clone-flags)
setns(fd, clone-flags)
`;

/** The classes and their calls, as text; see SyscallTable. */
export const SIGNATURES = {
  "path-read": PATH_READ,
  "path-write": PATH_WRITE,
  directory: DIRECTORY,
  mount: MOUNT,
  exec: EXEC,
  process: PROCESS,
  identity: IDENTITY,
  names: NAMES,
  time: TIME,
  "socket-create": SOCKET_CREATE,
  "socket-ops": SOCKET_OPS,
  ioctl: IOCTL,
  namespaces: NAMESPACES,
  data: DATA,
  memory: MEMORY,
  signal: SIGNAL,
  schedule: SCHEDULE,
  system: SYSTEM,
} as const;
