/** `v2 switch`, historically vde_switch: a virtual Ethernet switch in a directory. */
import { spawn } from "node:child_process";
import { closeSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { EXIT, V2Error } from "../base/index.ts";
import {
  CaptureFile,
  ConsoleServer,
  MetricsFile,
  VdeServer,
  type VdeServerOptions,
} from "../plugs/index.ts";
import type { Invocation } from "./command.ts";
import { runStartFile, StdinConsole } from "./switch-console.ts";
import { list, managementOptions, metricsOptions, serverOptions, usage } from "./switch-options.ts";

/** Text of `--version`; scripts look for the "V." of the original. */
const VERSION_LINE = "VDE switch V.2.3.2 compatible, Virtual Square in TypeScript\n";
const SIGNAL_EXIT = { SIGHUP: 129, SIGINT: 130, SIGTERM: 0 } as const;
/** Descriptor on which a daemon tells its starter that it is ready. */
const DAEMON_READY_FD = 3;

export async function run(invocation: Invocation): Promise<number | undefined> {
  const { options } = invocation;
  if (options["version"] === true) {
    process.stdout.write(VERSION_LINE);
    return EXIT.ok;
  }
  const settings = serverOptions(options);
  const metrics = metricsOptions(options);
  if (options["daemon"] === true) return await becomeDaemon();
  // A daemon's starter is gone, and with it whoever read this.
  process.stderr.on("error", () => undefined);
  const captures = list(options["capture"]).map(openCapture);
  try {
    return await serve(options, { ...settings, captures }, metrics);
  } finally {
    await Promise.all(captures.map(({ file }) => file.close()));
  }
}

/** Runs the switch to its end. @returns the exit code. */
async function serve(
  options: Invocation["options"],
  settings: VdeServerOptions,
  metrics: ReturnType<typeof metricsOptions>,
): Promise<number> {
  const server = await VdeServer.start(settings);
  const pidFile = options["pidfile"] as string | undefined;
  let consoleServer: ConsoleServer | undefined;
  let metricsFile: MetricsFile | undefined;
  let hasPidFile = false;
  try {
    if (pidFile !== undefined) writePidFile(pidFile);
    hasPidFile = pidFile !== undefined;
    const { management } = server;
    // Before the first cable, so that each is probed before it forwards. A hub has none.
    if (options["fstp"] === true) await management.fstp.setOn(true);
    for (const tap of list(options["tap"])) await server.plug(`tap://${tap}`);
    const end = new Ending();
    const socket = managementOptions(options);
    if (socket !== undefined) {
      const shutdown = (): void => end.comes(EXIT.ok);
      consoleServer = await ConsoleServer.start({ ...socket, management, shutdown, log });
    }
    await runStartFile(management, options["rcfile"] as string | undefined, log);
    if (metrics !== undefined) {
      metricsFile = await MetricsFile.start({ ...metrics, management, log });
    }
    if (options["json"] === true) reportOnSignal(server);
    const stdin = options["nostdin"] === true ? undefined : new StdinConsole(management);
    void stdin?.ended.then(() => end.comes(EXIT.ok));
    announceReady(options["ready-fd"] as string | undefined);
    const code = await end.came;
    stdin?.close();
    return code;
  } finally {
    await consoleServer?.close();
    // The last version has the counters of cables that are still plugged in.
    await metricsFile?.close();
    await server.close();
    if (hasPidFile) rmSync(pidFile!, { force: true });
  }
}

/** FILE or FILE,port=N. */
function openCapture(text: string): { file: CaptureFile; port?: number } {
  const match = /^(.+?)(?:,port=(\d+))?$/.exec(text);
  if (match === null || /,[^/]*=/.test(match[1]!)) {
    throw usage(`--capture: '${text}' is not FILE or FILE,port=N`);
  }
  const file = new CaptureFile(match[1]!);
  return match[2] === undefined ? { file } : { file, port: Number(match[2]) };
}

/** The end of the switch, by a signal or by whoever calls `comes` first. */
class Ending {
  readonly came: Promise<number>;
  /** @param code exit code of the process. */
  comes: (code: number) => void = () => undefined;

  constructor() {
    this.came = new Promise((resolve) => {
      this.comes = resolve;
    });
    for (const [signal, code] of Object.entries(SIGNAL_EXIT)) {
      process.once(signal, () => this.comes(code));
    }
  }
}

function log(line: string): void {
  process.stderr.write(`v2 switch: ${line}\n`);
}

/** With `--json`, each SIGUSR2 prints the state as one line of JSON. */
function reportOnSignal(server: VdeServer): void {
  process.on("SIGUSR2", () => {
    void server.status().then((status) => process.stdout.write(`${JSON.stringify(status)}\n`));
  });
}

function announceReady(fd: string | undefined): void {
  if (fd === undefined) return;
  const number = Number(fd);
  if (!Number.isInteger(number) || number < 0) throw usage(`--ready-fd: '${fd}' is no descriptor`);
  writeSync(number, "\n");
  if (number > 2) closeSync(number);
}

/** Starts this command again without a terminal and leaves when that one is ready. */
async function becomeDaemon(): Promise<number> {
  const argv = process.argv.slice(1).flatMap((word) => (isDaemonWord(word) ? [] : [word]));
  const added = ["--nostdin", `--ready-fd=${DAEMON_READY_FD}`];
  const child = spawn(process.execPath, [...process.execArgv, ...argv, ...added], {
    detached: true,
    stdio: ["ignore", "ignore", "pipe", "pipe"],
  });
  // What goes wrong before it is ready is told here; afterwards nobody listens any more.
  child.stderr!.pipe(process.stderr);
  const ready = child.stdio[DAEMON_READY_FD]!;
  const code = await new Promise<number>((done) => {
    ready.once("data", () => done(EXIT.ok));
    child.once("exit", (exitCode) => done(exitCode ?? EXIT.failed));
  });
  ready.destroy();
  child.stderr!.destroy();
  child.unref();
  return code;
}

function isDaemonWord(word: string): boolean {
  return word === "-d" || word === "--daemon" || word === "-daemon";
}

function writePidFile(path: string): void {
  try {
    writeFileSync(path, `${process.pid}\n`, { flag: "wx", mode: 0o644 });
  } catch (cause) {
    const { code = "EIO", message } = cause as NodeJS.ErrnoException;
    throw new V2Error(code, `pid file '${path}': ${message}`, {
      remedy: "another switch may run; otherwise remove the file",
      cause,
    });
  }
}
