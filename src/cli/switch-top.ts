/** `v2 switch top SOCK|DIR`: the traffic of each port of a switch, from its own counters. */
import { setTimeout as wait } from "node:timers/promises";
import { EXIT, V2Error } from "../base/index.ts";
import { connectSwitch, findConsole, type ManagementClient } from "../plugs/index.ts";
import { type PortReport, portRates } from "../vde/index.ts";
import type { Invocation } from "./command.ts";
import { print, printJson } from "./output.ts";
import { topLines, type TopReading } from "./top-view.ts";

const INTERVAL_SECONDS = 1;
const INTERVAL_MAX = 3600;
const COLUMNS_WITHOUT_TERMINAL = 200;

/** q, Q, ^C, ^D. */
const END_KEYS: readonly number[] = [113, 81, 3, 4];

/** Sequences of ECMA-48, and of xterm for the second screen. */
const SCREEN = {
  enter: "\u001b[?1049h\u001b[?25l\u001b[2J",
  leave: "\u001b[?25h\u001b[?1049l",
  home: "\u001b[H",
  toLineEnd: "\u001b[K",
  toScreenEnd: "\u001b[J",
} as const;

export async function run({ words, rest, options }: Invocation): Promise<number> {
  const [name, more] = [...words, ...rest];
  if (name === undefined || more !== undefined) {
    throw usage("switch top: a management socket or the directory of a switch is needed");
  }
  const intervalSeconds = secondsOf(options["interval"] as string | undefined);
  await using client = await connectSwitch(findConsole(name));
  const end = new AbortController();
  const readings = readSwitch({ client, name, intervalSeconds, signal: end.signal });
  try {
    if (options["json"] === true) await printReadings(readings, options["once"] === true);
    else if (options["once"] === true || !process.stdout.isTTY) {
      await printOnce(readings, options["once"] !== true);
    } else await show(readings);
  } finally {
    end.abort();
  }
  return EXIT.ok;
}

interface Source {
  readonly client: ManagementClient;
  readonly name: string;
  readonly intervalSeconds: number;
  readonly signal: AbortSignal;
}

/** A reading per interval, until the signal. */
async function* readSwitch(source: Source): AsyncGenerator<TopReading, void, undefined> {
  const { client, name, intervalSeconds, signal } = source;
  const info = await client.info();
  let before: readonly PortReport[] = await client.ports();
  let beforeMs = performance.now();
  for (let round = 1; ; round++) {
    await wait(intervalSeconds * 1000, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    const [ports, now] = [await client.ports(), performance.now()];
    yield {
      name,
      info: { ...info, uptimeSeconds: uptime(info.uptimeSeconds, round * intervalSeconds) },
      ports: portRates(before, ports, now - beforeMs),
      intervalSeconds,
    };
    [before, beforeMs] = [ports, now];
  }
}

function uptime(atStart: number | undefined, elapsed: number): number | undefined {
  return atStart === undefined ? undefined : Math.round(atStart + elapsed);
}

async function printReadings(readings: AsyncIterable<TopReading>, isOnce: boolean): Promise<void> {
  for await (const { name, intervalSeconds, ports } of readings) {
    printJson({ switch: name, intervalSeconds, ports });
    if (isOnce) return;
  }
}

async function printOnce(readings: AsyncIterable<TopReading>, isEndless: boolean): Promise<void> {
  for await (const reading of readings) {
    const rows = reading.ports.length + 5;
    print(`${topLines(reading, COLUMNS_WITHOUT_TERMINAL, rows).join("\n")}\n`);
    if (!isEndless) return;
    print("\n");
  }
}

/** Draws until q, ^C, a signal, or the end of the switch; the terminal is left as it was. */
async function show(readings: AsyncGenerator<TopReading>): Promise<void> {
  let last: TopReading | undefined;
  const { stdin, stdout } = process;
  const draw = (): void => {
    if (last === undefined) return;
    const lines = topLines(last, stdout.columns, stdout.rows);
    const text = lines.map((line) => `${line}${SCREEN.toLineEnd}`).join("\r\n");
    stdout.write(`${SCREEN.home}${text}${SCREEN.toScreenEnd}`);
  };
  const asked = new Promise<"ended">((resolve) => {
    const end = (): void => resolve("ended");
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, end);
    stdin.on("data", (keys: Buffer) => keys.some((key) => END_KEYS.includes(key)) && end());
    stdin.on("end", end);
  });
  if (stdin.isTTY) stdin.setRawMode(true);
  stdout.on("resize", draw);
  stdout.write(SCREEN.enter);
  try {
    for (;;) {
      const next = await Promise.race([readings.next(), asked]);
      if (next === "ended" || next.done === true) return;
      last = next.value;
      draw();
    }
  } finally {
    stdout.off("resize", draw);
    stdout.write(SCREEN.leave);
    if (stdin.isTTY) stdin.setRawMode(false);
    stdin.destroy();
  }
}

function secondsOf(text: string | undefined): number {
  if (text === undefined) return INTERVAL_SECONDS;
  const seconds = Number(text);
  if (seconds > 0 && seconds <= INTERVAL_MAX) return seconds;
  throw usage(`--interval: '${text}' is no number of seconds up to ${INTERVAL_MAX}`);
}

function usage(message: string): V2Error {
  return new V2Error("USAGE", message, {
    remedy: "see: v2 switch top --help",
    exitCode: EXIT.usage,
  });
}
