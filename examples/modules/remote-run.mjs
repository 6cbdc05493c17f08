/**
 * Stands for a program of another host while it runs there: input, output, arguments, variables,
 * signals and end of the two are the same. Started by programs in mounts of the module `remote`:
 * `node remote-run.mjs SOURCE TARGET PATH [ARGUMENT]…`.
 */
import { createConnection } from "node:net";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** A connection to a server, by `host:port` or the path of its socket. */
export function connectTo(source) {
  if (source.startsWith("/")) return createConnection({ path: source });
  const [host, port] = source.split(/:(?=\d+$)/);
  return createConnection({ host, port });
}

const SIGNALS = ["SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGCONT"];

/** Writes, and stops whoever writes until there is room again. */
export function pass(octets, to, from) {
  if (to.write(octets)) return;
  from.pause();
  to.once("drain", () => from.resume());
}

function run(source, target, path, ...argv) {
  const socket = connectTo(source);
  const line = (message) => `${JSON.stringify(message)}\n`;
  const give = (text, code) => {
    process.stderr.write(`${path}: ${text}\n`);
    process.exit(code);
  };
  const here = process.cwd();
  const cwd = here.startsWith(`${target}/`) ? here.slice(target.length) : "/";
  socket.write(line({ op: "run", path, argv, env: process.env, cwd }));
  for (const signal of SIGNALS) process.on(signal, () => socket.write(line({ signal })));
  process.stdin.on("data", (octets) => {
    pass(line({ input: octets.toString("base64") }), socket, process.stdin);
  });
  process.stdin.on("end", () => socket.write(line({ input: null })));
  // Nobody reads any more: the server ends the program with the connection.
  for (const out of [process.stdout, process.stderr]) out.on("error", () => process.exit(141));
  let isOver = false;
  const end = ({ code, signal }) => {
    isOver = true;
    process.stdin.destroy();
    socket.destroy();
    if (signal === null) process.exitCode = code;
    else {
      process.removeAllListeners(signal);
      process.stdout.write("", () => process.kill(process.pid, signal));
    }
  };
  createInterface(socket)
    .on("error", () => {})
    .on("line", (text) => {
      const message = JSON.parse(text);
      if ("out" in message) pass(Buffer.from(message.out, "base64"), process.stdout, socket);
      else if ("err" in message) pass(Buffer.from(message.err, "base64"), process.stderr, socket);
      else if ("refused" in message) {
        give(`cannot be run there: ${message.refused}`, message.refused === "ENOENT" ? 127 : 126);
      } else end(message);
    });
  socket.on("error", (error) => isOver || give(`the server: ${error.code}`, 126));
  socket.on("close", () => isOver || give("the server is gone", 126));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) run(...process.argv.slice(2));
