/**
 * `v2 switch command`, historically vdecmd and unixcmd: one console command from a script. The exit
 * code is the errno of its result. With `-f` a state machine (vde/command-machine.ts) drives the
 * dialogue instead.
 */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createConnection, type Socket } from "node:net";
import { errnoText, V2Error } from "../base/index.ts";
import { connectSwitch } from "../plugs/index.ts";
import { CommandMachine, parseCommandProgram } from "../vde/index.ts";
import type { Invocation } from "./command.ts";
import { print } from "./output.ts";

/** As the original ends when there is no result, no connection, no command. */
const NO_RESULT = 255;
/** How long a switch may take for a command. */
const ANSWER_MS = 10_000;
const NAMES = ["vdecmd", "unixcmd"];

export async function run({ calledAs, options, words, rest }: Invocation): Promise<number> {
  const command = [...words, ...rest];
  const name = NAMES.includes(calledAs) ? calledAs : "vdecmd";
  const path = (options["s"] as string | undefined) ?? `/var/run/${name}`;
  const programFile = options["f"] as string | undefined;
  if (command.length === 0) throw failed("USAGE", `${calledAs}: a command is needed`);
  if (programFile !== undefined) {
    return await runProgram(path, programFile, command, options["v"] === true);
  }
  try {
    return await runCommand(path, command.join(" "));
  } catch (error) {
    if (!(error instanceof V2Error)) throw error;
    throw failed(error.code, error.message, error.remedy);
  }
}

/** Asks, prints the data, and returns the errno. */
async function runCommand(path: string, command: string): Promise<number> {
  await using client = await connectSwitch(path);
  const { data, echo, errno } = await client
    .command(command, {
      signal: AbortSignal.timeout(ANSWER_MS),
    })
    .catch(noAnswer(command));
  const lines = [...echo, ...data];
  if (lines.length > 0) print(`${lines.join("\n")}\n`);
  // An exit code has 8 bits; no errno of Linux needs more.
  return errno === undefined ? NO_RESULT : errno & 0xff;
}

function noAnswer(command: string): (error: unknown) => never {
  return (error) => {
    if (error instanceof V2Error) throw error;
    throw failed("NO_ANSWER", `'${command}': no answer within ${ANSWER_MS / 1000} s`);
  };
}

/** Runs a state machine on the octets of a connection. */
async function runProgram(
  path: string,
  file: string,
  command: readonly string[],
  isVerbose: boolean,
): Promise<number> {
  const program = parseCommandProgram(readProgram(file));
  if ("problem" in program) {
    throw failed("BAD_PROGRAM", `${file}:${program.line}: ${program.problem}`);
  }
  const machine = new CommandMachine(program, command);
  const socket = await connect(path);
  const input = new SocketText(socket);
  try {
    for (;;) {
      const step = machine.step();
      if (isVerbose) process.stderr.write(`${JSON.stringify(step)}\n`);
      if (step.kind === "exit") return step.code;
      if (step.kind === "fault") throw failed("BAD_PROGRAM", `${file}: ${step.problem}`);
      if (step.kind === "send") socket.write(step.text);
      else if (step.kind === "output") print(step.text);
      else {
        const text = await input.next(program.timeoutMs);
        if (text === undefined) machine.giveUp();
        else machine.push(text);
      }
    }
  } finally {
    socket.destroy();
  }
}

function readProgram(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw failed("NO_PROGRAM", `state machine '${file}': ${reason(error)}`);
  }
}

async function connect(path: string): Promise<Socket> {
  const socket = createConnection(path);
  try {
    await once(socket, "connect");
  } catch (error) {
    const remedy = `start the switch with: --mgmt ${path}`;
    throw failed("NO_CONSOLE", `console '${path}': ${reason(error)}`, remedy);
  }
  return socket;
}

/** What a socket says, piece by piece. */
class SocketText {
  readonly #pieces: string[] = [];
  #wake: () => void = () => undefined;
  #isOver = false;

  constructor(socket: Socket) {
    const over = (): void => {
      this.#isOver = true;
      this.#wake();
    };
    socket.setEncoding("utf8");
    socket.on("data", (piece: string) => {
      this.#pieces.push(piece);
      this.#wake();
    });
    socket.on("error", over);
    socket.on("end", over);
  }

  /** @returns the next piece; undefined: the peer is gone, or said nothing for so long. */
  async next(timeoutMs: number): Promise<string | undefined> {
    if (this.#pieces.length === 0 && !this.#isOver) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, timeoutMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return this.#pieces.shift();
  }
}

function reason(error: unknown): string {
  const { errno, message } = error as NodeJS.ErrnoException;
  return errno === undefined ? message : errnoText(-errno);
}

function failed(code: string, message: string, remedy?: string): V2Error {
  return new V2Error(code, message, {
    remedy: remedy ?? "see: v2 vdecmd --help",
    exitCode: NO_RESULT,
  });
}
