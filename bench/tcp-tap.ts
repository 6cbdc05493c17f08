/**
 * TCP between a stack on a TAP device and the kernel, one stream, MTU 1500, no offloads,
 * `throughput` in megabits per second: our stack, and Debian's LWIPv6.
 *
 *   lwipv6-send       from the stack to the kernel
 *   lwipv6-receive    from the kernel to the stack
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { V2Error } from "../src/base/index.ts";
import { type Figure, rateFigure } from "./figure.ts";
import { Namespaces, type Started, until } from "./namespaces.ts";
import { compileFixture } from "./programs.ts";

const PORT = 5201;
const SECONDS = 1;
const SETTLE_MS = 1000;
const ATTEMPTS = 4;
export const STACK_STREAM = fileURLToPath(new URL("stack-stream.js", import.meta.url));

/** A program that is a stack on a TAP device. */
type StackProgram = (mode: "send" | "receive", tap: string) => readonly string[];

export interface StackStreams {
  readonly spaces: Namespaces;
  /** tcp-stream, compiled. */
  readonly program: string;
  readonly mtu: number;
}

let taps = 0;

/** Starts a stack, and gives the kernel's side of its TAP device an address. */
async function start(
  { spaces, mtu }: StackStreams,
  stack: StackProgram,
  mode: "send" | "receive",
): Promise<{ readonly started: Started; readonly tap: string }> {
  const tap = `st${taps++}`;
  const started = spaces.start("left", ...stack(mode, tap));
  await until("the stack", () => started.output().includes("ready"));
  await spaces.configure("left", tap, "10.99.0.1");
  spaces.run("left", "ip", "link", "set", tap, "mtu", String(mtu));
  return { started, tap };
}

function rateOf(text: string): number {
  const line = text.split("\n").find((one) => one.startsWith("{"));
  if (line === undefined) throw new V2Error("NO_FIGURE", `no figure in '${text}'`);
  const { octets, seconds } = JSON.parse(line) as { octets: number; seconds: number };
  return (octets * 8) / seconds / 1e6;
}

/** Megabits per second from the kernel to a stack. */
export async function receiveRate(streams: StackStreams, stack: StackProgram): Promise<number> {
  const { started } = await start(streams, stack, "receive");
  const words = ["send", "10.99.0.2", String(PORT), String(SECONDS)];
  const text = streams.spaces.run("left", streams.program, ...words);
  await streams.spaces.end([started]);
  return rateOf(text);
}

/** Megabits per second from a stack to the kernel, where tcp-stream receives. */
export async function sendRate(streams: StackStreams, stack: StackProgram): Promise<number> {
  // A new one each time: LWIPv6 leaves connections that never end.
  const receiver = streams.spaces.start("left", streams.program, "receive", String(PORT));
  await until("tcp-stream", () => receiver.output().includes("ready"));
  const { started } = await start(streams, stack, "send");
  // LWIPv6 does not ask again for a neighbour that the kernel was not ready to be.
  await sleep(SETTLE_MS);
  started.child.stdin!.write("go\n");
  try {
    await until("the stream", () => started.output().includes("{"));
  } finally {
    await streams.spaces.end([receiver, started]);
  }
  return rateOf(started.output());
}

/** Command line of our stack. */
export function ours(mtu: number, kind: "plain" | "offload"): StackProgram {
  return (mode, tap) => [
    process.execPath,
    STACK_STREAM,
    mode,
    tap,
    String(mtu),
    kind,
    String(PORT),
    String(SECONDS),
  ];
}

/** Namespaces in which tcp-stream receives, for the time of a benchmark. */
export async function withStreams<T>(
  mtu: number,
  measure: (streams: StackStreams, place: string) => Promise<T>,
): Promise<T> {
  const place = mkdtempSync(join(tmpdir(), "v2-bench-"));
  const program = join(place, "tcp-stream");
  compileFixture("tcp-stream", program);
  const spaces = await Namespaces.open();
  try {
    return await measure({ spaces, program, mtu }, place);
  } finally {
    await spaces.close();
    rmSync(place, { recursive: true, force: true });
  }
}

/** LWIPv6 loses its first segments now and then, and never sends them again. */
async function again(measure: () => Promise<number>): Promise<number> {
  for (let left = ATTEMPTS; ; left--) {
    try {
      return await measure();
    } catch (error) {
      if (left === 1) throw error;
    }
  }
}

/** @throws V2Error without a C compiler, liblwipv6-dev, TAP devices or namespaces. */
export async function run({ runs }: { readonly runs: number }): Promise<Figure[]> {
  const mtu = 1500;
  return await withStreams(mtu, async (streams, place) => {
    const peer = join(place, "lwipv6-stream");
    compileFixture("lwipv6-stream", peer, "-llwipv6");
    const lwipv6: StackProgram = (mode, tap) => [peer, mode, tap, String(PORT), String(SECONDS)];
    const us = ours(mtu, "plain");
    const rates = { send: [[], []], receive: [[], []] } as Record<string, [number[], number[]]>;
    for (let round = 0; round < runs; round++) {
      rates["send"]![0].push(await sendRate(streams, us));
      rates["send"]![1].push(await again(() => sendRate(streams, lwipv6)));
      rates["receive"]![0].push(await receiveRate(streams, us));
      rates["receive"]![1].push(await again(() => receiveRate(streams, lwipv6)));
    }
    return ["send", "receive"].map((name) =>
      rateFigure(
        { bench: "tcp-tap", case: `lwipv6-${name}`, metric: "throughput", peerName: "LWIPv6 1.5a" },
        rates[name]![0],
        rates[name]![1],
      ),
    );
  });
}
