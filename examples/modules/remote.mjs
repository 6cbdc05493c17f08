/**
 * Files of another host: `node remote-server.mjs /srv 7000` there, and here
 * `v2 view -p remote`, then `mount -t remote host:7000 /mnt` (or a socket's path as source).
 */
import { createConnection } from "node:net";
import { createInterface } from "node:readline";
import { module, vfs } from "virtualsquare/viewos";

/** Questions to the server, as lines of JSON; each gets its own answer, in any order. */
function connect(source) {
  const [host, port] = source.startsWith("/") ? [source] : source.split(/:(?=\d+$)/);
  const socket = createConnection(port === undefined ? { path: host } : { host, port });
  const waiting = new Map();
  let last = 0;
  let failure;
  const lines = createInterface(socket).on("error", () => {});
  lines.on("line", (line) => {
    const { id, value, code } = JSON.parse(line);
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    if (code === undefined) resolve(value);
    else reject(Object.assign(new Error(code), { code }));
  });
  socket.on("error", () => {});
  socket.on("close", () => {
    failure = Object.assign(new Error("the server is gone"), { code: "EIO" });
    for (const { reject } of waiting.values()) reject(failure);
  });
  return (op, ...words) =>
    new Promise((resolve, reject) => {
      if (failure !== undefined) return reject(failure);
      waiting.set(++last, { resolve, reject });
      return socket.write(`${JSON.stringify({ id: last, op, words })}\n`);
    });
}

export default module("remote", {
  description: "files of another host",
  mount: async ({ source }) => {
    const ask = connect(source);
    await ask("stat", "/");
    return vfs({
      list: (path) => ask("list", path),
      stat: async (path) => (await ask("stat", path)) ?? undefined,
      readAt: async (path, offset, octets) =>
        Buffer.from(await ask("read", path, offset, octets), "base64"),
      writeAt: (path, data, offset) =>
        ask("write", path, Buffer.from(data).toString("base64"), offset),
      truncate: (path, size) => ask("truncate", path, size),
      create: (path, mode) => ask("create", path, mode),
      mkdir: (path, mode) => ask("mkdir", path, mode),
      remove: (path) => ask("remove", path),
      rename: (from, to) => ask("rename", from, to),
      readlink: (path) => ask("readlink", path),
      symlink: (path, target) => ask("symlink", path, target),
      change: (path, { mode }) => (mode === undefined ? undefined : ask("chmod", path, mode)),
      ttl: 1,
    });
  },
});
