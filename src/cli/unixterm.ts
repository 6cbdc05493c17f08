/**
 * `v2 switch pipe SOCK`, historically unixterm: standard input and output joined to a unix stream
 * socket, octet by octet.
 */
import { createConnection, type Socket } from "node:net";
import { once } from "node:events";
import { errnoText, EXIT, V2Error } from "../base/index.ts";
import type { Invocation } from "./command.ts";
import { print } from "./output.ts";

/** The original ends so when it cannot connect. */
const NO_CONNECTION = 255;
/** After the end of standard input a peer may be silent so long before it is left. */
const LAST_WORDS_MS = 1000;

export async function run(invocation: Invocation): Promise<number> {
  // The original does not look at further words.
  const [path] = [...invocation.words, ...invocation.rest];
  if (path === undefined) {
    throw new V2Error("USAGE", `${invocation.calledAs}: a socket is needed`, {
      remedy: "v2 unixterm /tmp/lan.mgmt",
      exitCode: NO_CONNECTION,
    });
  }
  const socket = createConnection(path);
  try {
    await once(socket, "connect");
  } catch (error) {
    throw cannotConnect(path, error as NodeJS.ErrnoException);
  }
  await join(socket);
  return EXIT.ok;
}

/** Copies both ways until the peer closes; the end of standard input is told to it. */
async function join(socket: Socket): Promise<void> {
  const { stdin } = process;
  socket.on("data", (octets) => print(octets));
  // What a peer that is gone did not read is lost, as on any terminal line.
  socket.on("error", () => undefined);
  stdin.on("data", (octets) => socket.write(octets));
  stdin.on("end", () => {
    socket.end();
    socket.setTimeout(LAST_WORDS_MS, () => socket.destroy());
  });
  stdin.on("error", () => socket.destroy());
  await once(socket, "close");
  stdin.destroy();
}

function cannotConnect(path: string, { errno, code }: NodeJS.ErrnoException): V2Error {
  const why = errno === undefined ? "?" : errnoText(-errno);
  return new V2Error(code ?? "EIO", `console '${path}': ${why}`, {
    remedy: `start the switch with: --mgmt ${path}`,
    exitCode: NO_CONNECTION,
  });
}
