import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { EPOLL_EVENT } from "./epoll.ts";
import { CMSGHDR, MSGHDR, receiveFds, sendFds } from "./fd-passing.ts";
import { IOVEC, MMSGHDR } from "./mmsg.ts";
import { closeFd, makePipe, readFd, writeFd } from "./descriptor.ts";
import { SOCKADDR_UN_OCTETS, unixSocketPair } from "./unix-socket.ts";

/** Each layout constant of ours, and what a C compiler says it is. */
const LAYOUTS: readonly (readonly [ours: number, c: string])[] = [
  [MMSGHDR.octets, "sizeof(struct mmsghdr)"],
  [MMSGHDR.iov, "offsetof(struct mmsghdr, msg_hdr.msg_iov)"],
  [MMSGHDR.iovlen, "offsetof(struct mmsghdr, msg_hdr.msg_iovlen)"],
  [MMSGHDR.flags, "offsetof(struct mmsghdr, msg_hdr.msg_flags)"],
  [MMSGHDR.len, "offsetof(struct mmsghdr, msg_len)"],
  [IOVEC.octets, "sizeof(struct iovec)"],
  [IOVEC.base, "offsetof(struct iovec, iov_base)"],
  [IOVEC.len, "offsetof(struct iovec, iov_len)"],
  [MSGHDR.octets, "sizeof(struct msghdr)"],
  [MSGHDR.iov, "offsetof(struct msghdr, msg_iov)"],
  [MSGHDR.iovlen, "offsetof(struct msghdr, msg_iovlen)"],
  [MSGHDR.control, "offsetof(struct msghdr, msg_control)"],
  [MSGHDR.controllen, "offsetof(struct msghdr, msg_controllen)"],
  [MSGHDR.flags, "offsetof(struct msghdr, msg_flags)"],
  [CMSGHDR.octets, "CMSG_LEN(0)"],
  [CMSGHDR.len, "offsetof(struct cmsghdr, cmsg_len)"],
  [CMSGHDR.level, "offsetof(struct cmsghdr, cmsg_level)"],
  [CMSGHDR.type, "offsetof(struct cmsghdr, cmsg_type)"],
  [EPOLL_EVENT.octets, "sizeof(struct epoll_event)"],
  [EPOLL_EVENT.events, "offsetof(struct epoll_event, events)"],
  [EPOLL_EVENT.data, "offsetof(struct epoll_event, data)"],
  [SOCKADDR_UN_OCTETS, "sizeof(struct sockaddr_un)"],
];

test("struct layouts are those of this machine's C library", (t) => {
  if (spawnSync("cc", ["--version"]).status !== 0) {
    return t.skip("needs a C compiler: apt install gcc libc6-dev");
  }
  const folder = mkdtempSync(join(tmpdir(), "v2-layout-"));
  const includes = ["stddef.h", "stdio.h", "sys/epoll.h", "sys/socket.h", "sys/uio.h", "sys/un.h"];
  const lines = LAYOUTS.map(([, c]) => `  printf("%zu\\n", (size_t)(${c}));`);
  const head = ["#define _GNU_SOURCE", ...includes.map((name) => `#include <${name}>`)];
  const text = [...head, "int main(void) {", ...lines, "  return 0;", "}", ""].join("\n");
  writeFileSync(join(folder, "layout.c"), text);
  const built = spawnSync("cc", ["-o", "layout", "layout.c"], { cwd: folder, encoding: "utf8" });
  assert.equal(built.status, 0, built.stderr);
  const said = spawnSync(join(folder, "layout"), { encoding: "utf8" }).stdout.trim().split("\n");
  rmSync(folder, { recursive: true });
  LAYOUTS.forEach(([ours, c], i) => assert.equal(ours, Number(said[i]), c));
});

test("a descriptor passed through a socket is the same open file", () => {
  const [left, right] = unixSocketPair("stream");
  const [readEnd, writeEnd] = makePipe();
  assert.equal(sendFds(left, Uint8Array.of(7), [readEnd, writeEnd]), 1);
  closeFd(readEnd);
  closeFd(writeEnd);
  const data = new Uint8Array(8);
  const { octets, fds } = receiveFds(right, data);
  assert.equal(octets, 1);
  assert.equal(data[0], 7);
  assert.equal(fds.length, 2);
  assert.equal(writeFd(fds[1]!, Uint8Array.of(1, 2, 3), 3), 3);
  assert.equal(readFd(fds[0]!, data), 3);
  assert.deepEqual(receiveFds(right, data), { octets: -11, fds: [] });
  for (const fd of [left, right, ...fds]) closeFd(fd);
});
