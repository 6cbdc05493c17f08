/**
 * TCP from one stack to another in one process and one thread, one stream, `throughput` in megabits
 * per second; the peer is the kernel with itself over a veth pair.
 *
 *   veth-1500    segments of an MTU of 1500; the pair without offloads
 *   veth-64k     super-segments of up to 64 KiB; the pair with all of them
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FramePool } from "../src/base/index.ts";
import {
  ANY_IPV4,
  Arena,
  defaultTcpOptions,
  type Interface,
  IpAddress,
  type Link,
  Stack,
  TcpListener,
} from "../src/lwipv6/index.ts";
import { type Figure, rateFigure } from "./figure.ts";
import { Namespaces, until } from "./namespaces.ts";
import { compileFixture } from "./programs.ts";

const SECONDS = 1;
const PORT = 5201;
const QUEUE = 512;

/** One direction of a cable between two stacks that share an arena: slots, no copies. */
class Direction implements Link {
  readonly kind = "ethernet";
  readonly mac: Uint8Array;
  readonly mtuOctets = 1500;
  readonly offload: boolean;
  readonly #queue = new Int32Array(QUEUE);
  #count = 0;

  constructor(number: number, offload: boolean) {
    this.mac = Uint8Array.of(2, 0, 0, 0, 0, number);
    this.offload = offload;
  }

  send(pool: FramePool, slots: Int32Array, from: number, count: number): number {
    const taken = Math.min(count, QUEUE - this.#count);
    for (let i = 0; i < taken; i++) {
      pool.retain(slots[from + i]!);
      this.#queue[this.#count++] = slots[from + i]!;
    }
    return taken;
  }

  /** Hands what waits to the other end. @returns frames. */
  deliver(stack: Stack, to: Interface, nowMs: number): number {
    const count = Math.min(64, this.#count);
    if (count === 0) return 0;
    const batch = this.#queue.slice(0, count);
    this.#queue.copyWithin(0, count, this.#count);
    this.#count -= count;
    stack.input(to, batch, count, nowMs);
    return count;
  }
}

/** Megabits per second between two stacks. */
export function memoryRate(offload: boolean, seconds: number): number {
  const arena = new Arena({ frames: 2048, blocks: 4096 });
  const clock = { nowMs: () => performance.now(), wallNs: () => 0n };
  const stacks = [1, 2].map(
    (number) => new Stack({ secret: new Uint8Array(16).fill(number), clock, arena }),
  ) as [Stack, Stack];
  const links = [new Direction(1, offload), new Direction(2, offload)] as const;
  const ends = stacks.map((stack, i) => {
    const made = stack.addInterface(links[i]!, "vd0");
    stack.setUp(made);
    stack.addAddress(made, IpAddress.parse(`10.0.0.${i + 1}`), 24);
    return made;
  });
  const into = new Uint8Array(131_072);
  let received = 0;
  const at = {
    local: ANY_IPV4,
    localPort: PORT,
    interfaceIndex: 0,
    isIpv6Only: false,
    isShared: false,
  };
  const listener = stacks[1].tcp.listen(at, defaultTcpOptions(), 4);
  if (!(listener instanceof TcpListener)) throw new Error("listen");
  listener.onReady = () => {
    const server = listener.accept()!;
    server.onReady = () => {
      for (let count = 1; count > 0; ) {
        count = server.read(into, 0, into.length);
        if (count > 0) received += count;
      }
    };
  };
  const client = stacks[0].tcp.connect({ remote: IpAddress.parse("10.0.0.2"), remotePort: PORT });
  if (typeof client === "number") throw new Error("connect");
  client.onReady = () => {
    while (client.write(into, 0, into.length) > 0);
  };
  const startMs = performance.now();
  let lookMs = startMs;
  while (lookMs - startMs < 1000 * seconds) {
    lookMs = performance.now();
    const moved =
      links[0].deliver(stacks[1], ends[1]!, lookMs) + links[1].deliver(stacks[0], ends[0]!, lookMs);
    for (const [i, stack] of stacks.entries()) {
      if (ends[i]!.waiting > 0) stack.writable(ends[i]!);
      if (moved === 0 || lookMs > stack.core.timers.nextMs()) stack.poll(lookMs);
    }
  }
  return (received * 8) / (performance.now() - startMs) / 1000;
}

/** @throws V2Error without a C compiler or namespaces. */
export async function run({ runs }: { readonly runs: number }): Promise<Figure[]> {
  const place = mkdtempSync(join(tmpdir(), "v2-bench-"));
  const program = join(place, "tcp-stream");
  compileFixture("tcp-stream", program);
  const spaces = await Namespaces.open();
  try {
    for (const [i, kind] of ["plain", "offload"].entries()) {
      const [a, b] = [`a${i}`, `b${i}`];
      spaces.run("middle", "ip", "link", "add", a, "type", "veth", "peer", "name", b);
      await spaces.move(a, "left");
      await spaces.move(b, "right");
      await spaces.configure("left", a, `10.9${i}.0.1`);
      await spaces.configure("right", b, `10.9${i}.0.2`);
      if (kind === "offload") continue;
      for (const [side, name] of [
        ["left", a],
        ["right", b],
      ] as const) {
        spaces.run(side, "ethtool", "-K", name, "tso", "off", "gso", "off", "gro", "off");
      }
    }
    const receiver = spaces.start("right", program, "receive", String(PORT));
    await until("tcp-stream", () => receiver.output().includes("ready"));
    const kernel = (i: number): number => {
      const words = ["send", `10.9${i}.0.2`, String(PORT), String(SECONDS)];
      const text = spaces.run("left", program, ...words);
      const { octets, seconds } = JSON.parse(text) as { octets: number; seconds: number };
      return (octets * 8) / seconds / 1e6;
    };
    const rates: [number[], number[], number[], number[]] = [[], [], [], []];
    for (let round = 0; round < runs; round++) {
      rates[0].push(memoryRate(false, SECONDS));
      rates[1].push(kernel(0));
      rates[2].push(memoryRate(true, SECONDS));
      rates[3].push(kernel(1));
    }
    const named = { bench: "tcp-mem", metric: "throughput", peerName: "kernel veth" };
    return [
      rateFigure({ ...named, case: "veth-1500" }, rates[0], rates[1]),
      rateFigure({ ...named, case: "veth-64k" }, rates[2], rates[3]),
    ];
  } finally {
    await spaces.close();
    rmSync(place, { recursive: true, force: true });
  }
}
