/**
 * cmd://COMMAND LINE: frames on the standard input and output of a child process (stream-end.ts).
 */
import { spawn } from "node:child_process";
import { V2Error } from "../base/index.ts";
import { closeFd, unixSocketPair } from "../sys/index.ts";
import type { CableEnd } from "./end.ts";
import { StreamEnd } from "./stream-end.ts";

/** A running child and the descriptor that its standard input and output are the other side of. */
export interface CommandStream {
  readonly fd: number;
  readonly pid: number;
  /** The exit code once it ended; 128 after a signal, 127 when it never ran. */
  readonly ended: Promise<number>;
}

/**
 * Starts a command whose standard input and output are one socket; standard error is ours.
 * The caller closes `fd`; that is the end of file the child sees.
 * @throws V2Error when it cannot be started.
 */
export function startCommand(command: string, argv: readonly string[]): CommandStream {
  const [ours, theirs] = unixSocketPair("stream");
  const child = spawn(command, argv, { stdio: [theirs, theirs, "inherit"] });
  closeFd(theirs);
  const ended = new Promise<number>((resolve) => {
    child.once("exit", (code) => resolve(code ?? 128));
    child.once("error", () => resolve(127));
  });
  if (child.pid === undefined) {
    closeFd(ours);
    throw new V2Error("COMMAND_NOT_STARTED", `cannot start '${command}'`, {
      remedy: "check its name and that it is executable",
      exitCode: 127,
    });
  }
  return { fd: ours, pid: child.pid, ended };
}

/** Opens a `cmd://` address: the line goes to the shell, as vdeplug's. */
export function openCommand(address: string): CableEnd {
  const stream = startCommand("/bin/sh", ["-c", address.replace(/^(["'])(.*)\1$/, "$2")]);
  return new StreamEnd({
    scheme: "cmd",
    description: `cmd://${address}`,
    readFd: stream.fd,
    writeFd: stream.fd,
  });
}
