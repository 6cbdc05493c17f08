/*
 * The shared object that packetdrill loads (--so_filename) to run its scripts against a stack in
 * another process: every call goes as one message over a Unix stream socket, whose path is in
 * --so_flags, and waits for the answer. One connection for each thread, so that a call may block.
 *
 * Request: u32 length of what follows, u32 operation, i64 arguments[6], octets.
 * Answer:  u32 length of what follows, i64 result, i64 errno, i64 values[2], octets.
 *
 * Loaded by LD_PRELOAD as well, because packetdrill reads TCP_INFO by getsockopt(2) itself.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

enum operation {
  OP_SOCKET = 1, OP_BIND, OP_LISTEN, OP_ACCEPT, OP_CONNECT, OP_RECV, OP_SEND, OP_FCNTL, OP_IOCTL,
  OP_CLOSE, OP_SHUTDOWN, OP_GETSOCKOPT, OP_SETSOCKOPT, OP_POLL, OP_NETDEV_SEND, OP_NETDEV_RECEIVE,
  OP_USLEEP, OP_TIME, OP_EPOLL_CREATE, OP_EPOLL_CTL, OP_EPOLL_WAIT,
};

struct request { uint32_t length, operation; int64_t argument[6]; } __attribute__((packed));
struct answer { uint32_t length; int64_t result, error, value[2]; } __attribute__((packed));

static struct sockaddr_un server = {.sun_family = AF_UNIX};
static __thread int connection = -1;

static void must(int is_good, const char *what) {
  if (is_good) return;
  fprintf(stderr, "packetdrill-shim: %s: %s\n", what, strerror(errno));
  _exit(70);
}

static void move_all(int is_write, void *memory, size_t octets) {
  char *at = memory;
  while (octets > 0) {
    ssize_t moved = syscall(is_write ? SYS_write : SYS_read, connection, at, octets);
    must(moved > 0, is_write ? "write" : "read");
    at += moved;
    octets -= moved;
  }
}

/* Sends a request and waits; *got is the room in `out`, then what was written there. */
static struct answer ask(enum operation operation, const int64_t *argument, const void *in,
                         size_t in_octets, void *out, size_t *got) {
  if (connection == -1) {
    /* Out of the way of packetdrill, which closes the descriptors of its script itself. */
    int low = syscall(SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(low >= 0, "socket");
    connection = fcntl(low, F_DUPFD_CLOEXEC, 500);
    must(connection >= 0, "fcntl");
    syscall(SYS_close, low);
    must(syscall(SYS_connect, connection, &server, sizeof server) == 0, server.sun_path);
  }
  struct request request = {sizeof request - 4 + in_octets, operation, {0}};
  memcpy(request.argument, argument, sizeof request.argument);
  move_all(1, &request, sizeof request);
  if (in_octets > 0) move_all(1, (void *)in, in_octets);
  struct answer answer;
  move_all(0, &answer, sizeof answer);
  size_t octets = answer.length - (sizeof answer - 4);
  char *data = malloc(octets + 1);
  move_all(0, data, octets);
  size_t room = got == NULL ? 0 : *got;
  if (room > octets) room = octets;
  if (room > 0) memcpy(out, data, room);
  if (got != NULL) *got = octets;
  free(data);
  if (answer.result < 0) errno = answer.error;
  return answer;
}

#define ARGS(...) ((const int64_t[6]){__VA_ARGS__})

static int so_socket(void *u, int domain, int type, int protocol) {
  return ask(OP_SOCKET, ARGS(domain, type, protocol), NULL, 0, NULL, NULL).result;
}
static int so_bind(void *u, int fd, const struct sockaddr *address, socklen_t length) {
  return ask(OP_BIND, ARGS(fd), address, length, NULL, NULL).result;
}
static int so_listen(void *u, int fd, int backlog) {
  return ask(OP_LISTEN, ARGS(fd, backlog), NULL, 0, NULL, NULL).result;
}
static int so_accept(void *u, int fd, struct sockaddr *address, socklen_t *length) {
  size_t room = length == NULL ? 0 : *length;
  struct answer answer = ask(OP_ACCEPT, ARGS(fd), NULL, 0, address, &room);
  if (length != NULL) *length = room;
  return answer.result;
}
static int so_connect(void *u, int fd, const struct sockaddr *address, socklen_t length) {
  return ask(OP_CONNECT, ARGS(fd), address, length, NULL, NULL).result;
}

/* Spreads received octets over iovecs. */
static void scatter(const char *from, size_t octets, const struct iovec *iov, int count) {
  for (int i = 0; i < count && octets > 0; i++) {
    size_t part = octets < iov[i].iov_len ? octets : iov[i].iov_len;
    memcpy(iov[i].iov_base, from, part);
    from += part;
    octets -= part;
  }
}
static size_t total(const struct iovec *iov, int count) {
  size_t octets = 0;
  for (int i = 0; i < count; i++) octets += iov[i].iov_len;
  return octets;
}
/* Answer: value[0] octets of address come first; value[1] is msg_flags. */
static ssize_t receive(int fd, const struct iovec *iov, int count, int flags, void *name,
                       socklen_t *name_length, int *msg_flags) {
  size_t room = total(iov, count) + 256, got = room;
  char *data = malloc(room);
  struct answer answer = ask(OP_RECV, ARGS(fd, total(iov, count), flags), NULL, 0, data, &got);
  if (answer.result >= 0) {
    size_t address = answer.value[0];
    if (name != NULL && name_length != NULL) {
      memcpy(name, data, address < *name_length ? address : *name_length);
      *name_length = address;
    }
    scatter(data + address, got - address, iov, count);
    if (msg_flags != NULL) *msg_flags = answer.value[1];
  }
  free(data);
  return answer.result;
}
static ssize_t so_read(void *u, int fd, void *into, size_t octets) {
  struct iovec one = {into, octets};
  return receive(fd, &one, 1, 0, NULL, NULL, NULL);
}
static ssize_t so_readv(void *u, int fd, const struct iovec *iov, int count) {
  return receive(fd, iov, count, 0, NULL, NULL, NULL);
}
static ssize_t so_recv(void *u, int fd, void *into, size_t octets, int flags) {
  struct iovec one = {into, octets};
  return receive(fd, &one, 1, flags, NULL, NULL, NULL);
}
static ssize_t so_recvfrom(void *u, int fd, void *into, size_t octets, int flags,
                           struct sockaddr *name, socklen_t *length) {
  struct iovec one = {into, octets};
  return receive(fd, &one, 1, flags, name, length, NULL);
}
static ssize_t so_recvmsg(void *u, int fd, struct msghdr *message, int flags) {
  message->msg_controllen = 0;
  return receive(fd, message->msg_iov, message->msg_iovlen, flags, message->msg_name,
                 message->msg_name == NULL ? NULL : &message->msg_namelen, &message->msg_flags);
}

/* Octets: argument[2] of address, then data. */
static ssize_t send_all(int fd, const struct iovec *iov, int count, int flags, const void *name,
                        socklen_t name_length) {
  size_t octets = total(iov, count);
  char *data = malloc(name_length + octets + 1), *at = data + name_length;
  if (name_length > 0) memcpy(data, name, name_length);
  for (int i = 0; i < count; i++) {
    memcpy(at, iov[i].iov_base, iov[i].iov_len);
    at += iov[i].iov_len;
  }
  ssize_t result =
      ask(OP_SEND, ARGS(fd, flags, name_length), data, name_length + octets, NULL, NULL).result;
  free(data);
  return result;
}
static ssize_t so_write(void *u, int fd, const void *from, size_t octets) {
  struct iovec one = {(void *)from, octets};
  return send_all(fd, &one, 1, 0, NULL, 0);
}
static ssize_t so_writev(void *u, int fd, const struct iovec *iov, int count) {
  return send_all(fd, iov, count, 0, NULL, 0);
}
static ssize_t so_send(void *u, int fd, const void *from, size_t octets, int flags) {
  struct iovec one = {(void *)from, octets};
  return send_all(fd, &one, 1, flags, NULL, 0);
}
static ssize_t so_sendto(void *u, int fd, const void *from, size_t octets, int flags,
                         const struct sockaddr *name, socklen_t length) {
  struct iovec one = {(void *)from, octets};
  return send_all(fd, &one, 1, flags, name, name == NULL ? 0 : length);
}
static ssize_t so_sendmsg(void *u, int fd, const struct msghdr *message, int flags) {
  return send_all(fd, message->msg_iov, message->msg_iovlen, flags, message->msg_name,
                  message->msg_name == NULL ? 0 : message->msg_namelen);
}

static int so_fcntl(void *u, int fd, int command, ...) {
  va_list list;
  va_start(list, command);
  long argument = va_arg(list, long);
  va_end(list);
  return ask(OP_FCNTL, ARGS(fd, command, argument), NULL, 0, NULL, NULL).result;
}
static int so_ioctl(void *u, int fd, unsigned long request, ...) {
  va_list list;
  va_start(list, request);
  int *argument = va_arg(list, int *);
  va_end(list);
  size_t got = sizeof *argument;
  return ask(OP_IOCTL, ARGS(fd, request), argument, sizeof *argument, argument, &got).result;
}
static int so_close(void *u, int fd) {
  return ask(OP_CLOSE, ARGS(fd), NULL, 0, NULL, NULL).result;
}
static int so_shutdown(void *u, int fd, int how) {
  return ask(OP_SHUTDOWN, ARGS(fd, how), NULL, 0, NULL, NULL).result;
}
static int so_getsockopt(void *u, int fd, int level, int name, void *value, socklen_t *length) {
  size_t got = *length;
  struct answer answer = ask(OP_GETSOCKOPT, ARGS(fd, level, name, got), NULL, 0, value, &got);
  if (answer.result >= 0) *length = got;
  return answer.result;
}
static int so_setsockopt(void *u, int fd, int level, int name, const void *value,
                         socklen_t length) {
  return ask(OP_SETSOCKOPT, ARGS(fd, level, name), value, length, NULL, NULL).result;
}
static int so_poll(void *u, struct pollfd *fds, nfds_t count, int timeout) {
  size_t octets = count * sizeof *fds;
  return ask(OP_POLL, ARGS(timeout), fds, octets, fds, &octets).result;
}
static int so_netdev_send(void *u, const void *packet, size_t octets) {
  return ask(OP_NETDEV_SEND, ARGS(0), packet, octets, NULL, NULL).result;
}
static int so_netdev_receive(void *u, void *packet, size_t *octets, long long *time) {
  struct answer answer = ask(OP_NETDEV_RECEIVE, ARGS(0), NULL, 0, packet, octets);
  *time = answer.value[0];
  return answer.result;
}
static int so_usleep(void *u, useconds_t microseconds) {
  return ask(OP_USLEEP, ARGS(microseconds), NULL, 0, NULL, NULL).result;
}
static int so_gettimeofday(void *u, struct timeval *time, struct timezone *zone) {
  int64_t now = ask(OP_TIME, ARGS(0), NULL, 0, NULL, NULL).value[0];
  time->tv_sec = now / 1000000;
  time->tv_usec = now % 1000000;
  return 0;
}
static int so_epoll_create(void *u, int size) {
  return ask(OP_EPOLL_CREATE, ARGS(size), NULL, 0, NULL, NULL).result;
}
static int so_epoll_ctl(void *u, int epfd, int operation, int fd, struct epoll_event *event) {
  int64_t events = event == NULL ? 0 : event->events, data = event == NULL ? 0 : event->data.u64;
  return ask(OP_EPOLL_CTL, ARGS(epfd, operation, fd, events, data), NULL, 0, NULL, NULL).result;
}
static int so_epoll_wait(void *u, int epfd, struct epoll_event *events, int count, int timeout) {
  size_t octets = count * sizeof *events;
  return ask(OP_EPOLL_WAIT, ARGS(epfd, count, timeout), NULL, 0, events, &octets).result;
}
static int so_pipe(void *u, int fds[2]) {
  errno = ENOSYS;
  return -1;
}
static ssize_t so_splice(void *u, int in, loff_t *in_at, int out, loff_t *out_at, size_t octets,
                         unsigned int flags) {
  errno = ENOSYS;
  return -1;
}
static void so_free(void *u) {}

/* The order of `struct packetdrill_interface`: userdata, then one function after the other. */
struct table {
  void *userdata;
  void *function[32];
};

void packetdrill_interface_init(const char *flags, struct table *table) {
  strncpy(server.sun_path, flags, sizeof server.sun_path - 1);
  void *const functions[] = {
      so_free,       so_socket,     so_bind,     so_listen,   so_accept,         so_connect,
      so_read,       so_readv,      so_recv,     so_recvfrom, so_recvmsg,        so_write,
      so_writev,     so_send,       so_sendto,   so_sendmsg,  so_fcntl,          so_ioctl,
      so_close,      so_shutdown,   so_getsockopt, so_setsockopt, so_poll,       so_netdev_send,
      so_netdev_receive, so_usleep, so_gettimeofday, so_epoll_create, so_epoll_ctl, so_epoll_wait,
      so_pipe,       so_splice,
  };
  table->userdata = NULL;
  memcpy(table->function, functions, sizeof functions);
}

int getsockopt(int fd, int level, int name, void *value, socklen_t *length) {
  if (server.sun_path[0] != 0) return so_getsockopt(NULL, fd, level, name, value, length);
  return syscall(SYS_getsockopt, fd, level, name, value, length);
}

/* At its end packetdrill closes the descriptors of its script, which are not this process'. */
int close(int fd) {
  int result = syscall(SYS_close, fd);
  return result < 0 && errno == EBADF && server.sun_path[0] != 0 ? 0 : result;
}
