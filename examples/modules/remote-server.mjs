/**
 * Serves a directory to the module `remote`: `node remote-server.mjs DIRECTORY PORT|SOCKET`.
 * Whoever can connect can read and write it: use a socket, or a port of a network that you trust.
 */
import * as fs from "node:fs/promises";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

const [directory, place] = process.argv.slice(2);
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

const server = createServer((socket) => {
  socket.on("error", () => {});
  const lines = createInterface(socket).on("error", () => {});
  lines.on("line", async (line) => {
    const { id, op, words } = JSON.parse(line);
    const answer = await Promise.resolve()
      .then(() => OPERATIONS[op](...words))
      .then((value) => ({ id, value: value ?? null }))
      .catch((error) => ({ id, code: error.code ?? "EIO" }));
    socket.write(`${JSON.stringify(answer)}\n`);
  });
});
server.listen(/^\d+$/.test(place) ? Number(place) : place, () => {
  console.log(`serving ${root} on ${JSON.stringify(server.address())}`);
});
