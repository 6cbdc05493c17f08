/**
 * One set-up at a time in one checkout. The lock is an abstract Unix socket (unix(7)): the kernel
 * drops it when its holder ends, however it ends, so there is no stale lock file to clear away.
 * Whoever finds it taken connects to it and waits for the connection to close.
 */
import { createHash } from "node:crypto";
import { connect, createServer } from "node:net";

/** A wait longer than this means a hung set-up, in milliseconds. */
const WAIT_MS_MAX = 15 * 60_000;

/** @returns a server holding the name, or undefined: somebody else holds it. */
function tryListen(name) {
  return new Promise((resolve, reject) => {
    const sockets = new Set();
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on("error", () => {});
    });
    server.once("error", (error) => {
      if (error.code === "EADDRINUSE") resolve(undefined);
      else reject(error);
    });
    server.listen(name, () =>
      resolve(() => {
        for (const socket of sockets) socket.destroy();
        server.close();
      }),
    );
  });
}

/** Resolves when the holder lets go, or at once when it already has. */
function waitForHolder(name) {
  return new Promise((resolve) => {
    const socket = connect(name);
    const timer = setTimeout(() => socket.destroy(), WAIT_MS_MAX);
    socket.on("error", () => {});
    socket.on("close", () => {
      clearTimeout(timer);
      resolve();
    });
    socket.resume();
  });
}

/**
 * Takes the lock of a checkout.
 * @param root absolute path of the checkout
 * @param onWait called once when somebody else is at work
 * @returns a function that releases the lock
 */
export async function takeLock(root, onWait) {
  const name = `\0virtualsquare-setup-${createHash("sha256").update(root).digest("hex").slice(0, 16)}`;
  const deadline = Date.now() + WAIT_MS_MAX;
  let told = false;
  for (;;) {
    const release = await tryListen(name);
    if (release !== undefined) return release;
    if (Date.now() > deadline) throw new Error(`another set-up of ${root} does not end`);
    if (!told) onWait();
    told = true;
    await waitForHolder(name);
  }
}
