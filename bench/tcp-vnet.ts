/**
 * TCP between our stack on a TAP device that takes super-segments and the kernel, one stream,
 * `throughput` in megabits per second. The peer is the kernel itself: two namespaces and a veth
 * pair with all its offloads, which is the limit.
 *
 *   veth-send       from the stack to the kernel; a share
 *   veth-receive    from the kernel to the stack; a share
 */
import { type Figure, rateFigure } from "./figure.ts";
import { until } from "./namespaces.ts";
import { ours, receiveRate, sendRate, withStreams } from "./tcp-tap.ts";

const PORT = 5201;
const SECONDS = 1;
const MTU = 1500;

/** @throws V2Error without a C compiler, TAP devices or namespaces. */
export async function run({ runs }: { readonly runs: number }): Promise<Figure[]> {
  return await withStreams(MTU, async (streams) => {
    const { spaces, program } = streams;
    spaces.run("middle", "ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1");
    await spaces.move("v0", "left");
    await spaces.move("v1", "right");
    await spaces.configure("left", "v0", "10.98.0.1");
    await spaces.configure("right", "v1", "10.98.0.2");
    const us = ours(MTU, "offload");
    const send: number[] = [];
    const receive: number[] = [];
    const veth: number[] = [];
    for (let round = 0; round < runs; round++) {
      send.push(await sendRate(streams, us));
      const receiver = spaces.start("left", program, "receive", String(PORT));
      await until("tcp-stream", () => receiver.output().includes("ready"));
      const words = ["send", "10.98.0.1", String(PORT), String(SECONDS)];
      const text = spaces.run("right", program, ...words);
      const { octets, seconds } = JSON.parse(text) as { octets: number; seconds: number };
      veth.push((octets * 8) / seconds / 1e6);
      await spaces.end([receiver]);
      receive.push(await receiveRate(streams, us));
    }
    const named = { bench: "tcp-vnet", metric: "throughput", peerName: "kernel veth" };
    return [
      rateFigure({ ...named, case: "veth-send" }, send, veth),
      rateFigure({ ...named, case: "veth-receive" }, receive, veth),
    ];
  });
}
