/**
 * `v2 plug`, historically vde_plug: a cable from a switch to standard input and output, to another
 * switch, or to a command.
 */
import { EXIT, V2Error } from "../base/index.ts";
import { type EndSource, PumpThread, startCommand } from "../plugs/index.ts";
import { openFd, OPEN } from "../sys/index.ts";
import type { Invocation } from "./command.ts";

const SIGNAL_EXIT = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
const RECONNECT_MS = 500;

export async function run(invocation: Invocation): Promise<number> {
  const { options } = invocation;
  const words = [...invocation.words, ...invocation.rest];
  const at = words.indexOf("=");
  const vnls = at === -1 ? words : words.slice(0, at);
  const command = at === -1 ? undefined : words.slice(at + 1);
  if (vnls.length > (command === undefined ? 2 : 1) || command?.length === 0) {
    throw new V2Error("USAGE", "v2 plug [VNL [VNL]] or v2 plug [VNL] = COMMAND [ARG]…", {
      remedy: "see: v2 plug --help",
      exitCode: 255,
    });
  }
  const description = (options["descr"] as string | undefined) ?? "v2plug:";
  const left: EndSource = {
    kind: "vnl",
    vnl: withPort(vnls[0] ?? "", options["port"]),
    description,
  };
  const reconnect = options["reconnect"] === true ? { reconnectMs: RECONNECT_MS } : {};
  if (command !== undefined) return await plugCommand(left, command, reconnect);
  const right: EndSource =
    vnls[1] === undefined
      ? standardStream()
      : { kind: "vnl", vnl: withPort(vnls[1], options["port2"]), description };
  return await pumpUntilEnd(new PumpThread({ left, right, ...reconnect }));
}

/** The command's standard input and output are the cable; its exit code is ours. */
async function plugCommand(
  left: EndSource,
  argv: readonly string[],
  reconnect: { readonly reconnectMs?: number },
): Promise<number> {
  const [name, ...rest] = argv as [string, ...string[]];
  const child = startCommand(name, rest);
  const { fd } = child;
  const right: EndSource = { kind: "stream", readFd: fd, writeFd: fd, description: name };
  const pump = new PumpThread({ left, right, ...reconnect });
  const code = await pumpUntilEnd(pump);
  return code === EXIT.ok ? await child.ended : code;
}

/** Runs to the end of a side or a signal. @returns the exit code. */
async function pumpUntilEnd(pump: PumpThread): Promise<number> {
  let code: number = EXIT.ok;
  const stops = Object.entries(SIGNAL_EXIT).map(([signal, exitCode]) => {
    const stop = (): void => {
      code = exitCode;
      void pump.stop();
    };
    process.once(signal, stop);
    return () => process.off(signal, stop);
  });
  try {
    await pump.ended;
  } finally {
    for (const undo of stops) undo();
  }
  return code;
}

/**
 * Standard input and output as frames. They are opened anew: making the inherited descriptors
 * non-blocking would change them for every process that shares them.
 */
function standardStream(): EndSource {
  return {
    kind: "stream",
    readFd: reopen(0, OPEN.readOnly),
    writeFd: reopen(1, OPEN.writeOnly),
    description: "standard input and output",
  };
}

function reopen(fd: number, flags: number): number {
  try {
    return openFd(`/proc/self/fd/${fd}`, flags | OPEN.nonBlock);
  } catch {
    // A socket cannot be opened again; it is used as it is.
    return fd;
  }
}

function withPort(vnl: string, port: unknown): string {
  return typeof port === "string" ? `${vnl}[${port}]` : vnl;
}
