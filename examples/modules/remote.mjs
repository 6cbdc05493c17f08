/**
 * Files of another host: `node remote-server.mjs /srv 7000` there, and here
 * `v2 view -p remote`, then `mount -t remote host:7000 /mnt` (or a socket's path as source).
 *
 * Programs of that host, run there: `node remote-server.mjs / 7000 run` there, and here
 * `mount -t remote -o run=/usr/bin/** host:7000 /mnt`. Programs whose path there matches (several
 * patterns with colons between) are scripts in the mount that start remote-run.mjs.
 */
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { module, pathPattern, vfs } from "virtualsquare/viewos";
import { connectTo } from "./remote-run.mjs";

/** Questions to the server, as lines of JSON; each gets its own answer, in any order. */
function connect(source) {
  const socket = connectTo(source);
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

const RUN = fileURLToPath(new URL("./remote-run.mjs", import.meta.url));
const quoted = (word) => `'${word.replaceAll("'", String.raw`'\''`)}'`;

/** What stands in the mount for a program that runs there. */
function script(...words) {
  const command = [process.execPath, RUN, ...words].map(quoted).join(" ");
  return Buffer.from(`#!/bin/sh\nexec ${command} "$@"\n`);
}

export default module("remote", {
  description: "files and programs of another host",
  mount: async ({ source, target, options: { run } }) => {
    const ask = connect(source);
    const patterns = run === undefined ? [] : run.split(":").map(pathPattern);
    const isProgram = (path, { type, mode }) =>
      type === "file" && (mode & 0o111) !== 0 && patterns.some((pattern) => pattern.test(path));
    const stat = async (path) => {
      const found = (await ask("stat", path)) ?? undefined;
      if (found === undefined || !isProgram(path, found)) return found;
      return { ...found, mode: found.mode & ~0o222, size: script(source, target, path).length };
    };
    const isProgramThere = async (path) =>
      patterns.length > 0 && isProgram(path, (await ask("stat", path)) ?? {});
    /** What is shown of a program is not what would be changed. */
    const change = async (op, path, ...words) => {
      if (!(await isProgramThere(path))) return ask(op, path, ...words);
      throw Object.assign(new Error("a program of another host"), { code: "ETXTBSY" });
    };
    await ask("stat", "/");
    return vfs({
      list: (path) => ask("list", path),
      stat,
      readAt: async (path, offset, octets) => {
        if (await isProgramThere(path)) {
          return script(source, target, path).subarray(offset, offset + octets);
        }
        return Buffer.from(await ask("read", path, offset, octets), "base64");
      },
      writeAt: (path, data, offset) =>
        change("write", path, Buffer.from(data).toString("base64"), offset),
      truncate: (path, size) => change("truncate", path, size),
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
