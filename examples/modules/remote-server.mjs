/**
 * Serves a directory to the module `remote`: `node remote-server.mjs DIRECTORY PORT|SOCKET [run]`.
 * Whoever can connect can read and write it, and with `run` start its programs: use a socket, or a
 * port of a network that you trust.
 */
import { spawn } from "node:child_process";
import * as fs from "node:fs/promises";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { pass } from "./remote-run.mjs";

const [directory, place, run] = process.argv.slice(2);
const root = await fs.realpath(directory);
/** Names only: `..` ends at the root, and links of the directory are not followed out of it. */
const at = async (path) => {
  const name = resolve("/", path);
  if (name === "/") return root;
  const file = join(root, name);
  const parent = await fs.realpath(join(file, ".."));
  const isInside = parent === root || parent.startsWith(`${root}/`);
  if (!isInside) throw Object.assign(new Error("outside"), { code: "EACCES" });
  return file;
};
const withFile = async (path, flags, use) => {
  const { constants } = fs;
  const handle = await fs.open(await at(path), flags | constants.O_NOFOLLOW);
  try {
    return await use(handle);
  } finally {
    await handle.close();
  }
};
const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL } = fs.constants;

const OPERATIONS = {
  list: async (path) => fs.readdir(await at(path)),
  stat: async (path) => {
    const found = await fs.lstat(await at(path)).catch((error) => {
      if (error.code === "ENOENT") return undefined;
      throw error;
    });
    if (found === undefined) return null;
    const type = found.isDirectory() ? "directory" : found.isSymbolicLink() ? "link" : "file";
    const { size, mode, mtimeMs } = found;
    return { type, size, mode: mode & 0o7777, mtimeMs: Math.floor(mtimeMs) };
  },
  read: (path, offset, octets) =>
    withFile(path, O_RDONLY, async (handle) => {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(octets), 0, octets, offset);
      return buffer.toString("base64", 0, bytesRead);
    }),
  write: (path, data, offset) =>
    withFile(path, O_WRONLY, async (handle) => {
      const octets = Buffer.from(data, "base64");
      await handle.write(octets, 0, octets.length, offset);
    }),
  truncate: (path, size) => withFile(path, O_WRONLY, (handle) => handle.truncate(size)),
  create: async (path, mode) => {
    const handle = await fs.open(await at(path), O_WRONLY | O_CREAT | O_EXCL, mode);
    await handle.close();
  },
  mkdir: async (path, mode) => void (await fs.mkdir(await at(path), mode)),
  remove: async (path) => {
    const file = await at(path);
    if ((await fs.lstat(file)).isDirectory()) await fs.rmdir(file);
    else await fs.unlink(file);
  },
  rename: async (from, to) => fs.rename(await at(from), await at(to)),
  readlink: async (path) => fs.readlink(await at(path)),
  symlink: async (path, target) => fs.symlink(target, await at(path)),
  chmod: async (path, mode) => fs.chmod(await at(path), mode),
};

/** Starts a program whose connection this is; it ends with it. Gives what its lines mean. */
async function start(socket, { path, argv, env, cwd }) {
  const line = (message) => `${JSON.stringify(message)}\n`;
  const refuse = ({ code = "EIO" }) => socket.end(line({ refused: code }));
  let child;
  try {
    if (run !== "run") throw Object.assign(new Error("no programs"), { code: "EACCES" });
    const [file, directory] = [await at(path), await at(cwd)];
    // A group of its own, so that all of it ends with the connection.
    child = spawn(file, argv, { cwd: directory, env, detached: true });
  } catch (error) {
    refuse(error);
    return () => {};
  }
  child.on("error", refuse);
  for (const [name, stream] of Object.entries({ out: child.stdout, err: child.stderr })) {
    stream.on("data", (octets) => {
      pass(line({ [name]: octets.toString("base64") }), socket, stream);
    });
  }
  child.stdin.on("error", () => {}); // a program need not read its input
  child.on("close", (code, signal) => socket.end(line({ code, signal })));
  socket.on("close", () => {
    try {
      process.kill(-child.pid, "SIGKILL");
    } catch {
      // All of it has ended.
    }
  });
  return ({ input, signal }) => {
    if (signal !== undefined) child.kill(signal);
    else if (input === null) child.stdin.end();
    else pass(Buffer.from(input, "base64"), child.stdin, socket);
  };
}

const server = createServer((socket) => {
  socket.on("error", () => {});
  const lines = createInterface(socket).on("error", () => {});
  let program;
  lines.on("line", async (line) => {
    const message = JSON.parse(line);
    if (message.op === "run") program = start(socket, message);
    if (program !== undefined) return message.op === "run" || (await program)(message);
    const { id, op, words } = message;
    const answer = await Promise.resolve()
      .then(() => OPERATIONS[op](...words))
      .then((value) => ({ id, value: value ?? null }))
      .catch((error) => ({ id, code: error.code ?? "EIO" }));
    return socket.write(`${JSON.stringify(answer)}\n`);
  });
});
server.listen(/^\d+$/.test(place) ? Number(place) : place, () => {
  console.log(`serving ${root} on ${JSON.stringify(server.address())}`);
});
