/**
 * How near the switch is to what the kernel leaves to any switch: ours, Debian's, and a forwarder
 * in C that knows neither addresses nor ports (fixtures/vde-forward.c), in turns.
 *
 *   window-64 …    frames per second and processor time of a frame, as in `vde-switch`
 *   overload-64 …  frames per second, as in `vde-overload`
 *   plug2tap, taps, super-frames   throughput of TCP, as in `vde-tcp`; the kernel's veth too
 *
 * `share` is ours against the limit; `limit` is the limit against Debian's, the ratio that no
 * switch of this kind passes on this machine.
 */
import { costFigure, type Figure, rateFigure } from "./figure.ts";
import {
  cost,
  interleave,
  type Load,
  LoadBench,
  type LoadOptions,
  PEER,
  received,
} from "./vde-load.ts";
import { measurePaths, type Path } from "./vde-tcp.ts";

const LIMIT = "vde-forward";
const WHOSE = ["ours", "peer", "limit"] as const;

type Compare = typeof rateFigure;

/** A measured quantity as two figures. */
function figures(
  name: { readonly case: string; readonly metric: string },
  compare: Compare,
  values: Record<(typeof WHOSE)[number], number[]>,
): Figure[] {
  const { ours, peer, limit } = values;
  const { case: caseName, metric } = name;
  const of = { bench: "vde-limit", case: caseName };
  return [
    compare({ ...of, metric: `${metric}-share`, peerName: LIMIT }, ours, limit),
    compare({ ...of, metric: `${metric}-limit`, peerName: PEER }, limit, peer),
  ];
}

async function switchFigures(options: LoadOptions): Promise<Figure[]> {
  const bench = await LoadBench.start(32, true);
  try {
    return [64, 1514].flatMap((octets) => {
      const window = interleave(bench, "window", octets, 16, options, WHOSE);
      const overload = interleave(bench, "overload", octets, 1, options, WHOSE);
      const of = (loads: typeof window, quantity: (load: Load) => number) => ({
        ours: loads.ours.map(quantity),
        peer: loads.peer.map(quantity),
        limit: loads.limit.map(quantity),
      });
      const frames = { case: `window-${octets}`, metric: "frames-per-second" };
      const spent = { case: `window-${octets}`, metric: "cpu-per-frame" };
      const taken = { case: `overload-${octets}`, metric: "received" };
      return [
        ...figures(frames, rateFigure, of(window, received)),
        ...figures(spent, costFigure, of(window, cost)),
        ...figures(taken, rateFigure, of(overload, received)),
      ];
    });
  } finally {
    await bench.close();
  }
}

async function tcpFigures(options: LoadOptions): Promise<Figure[]> {
  const cases: readonly (readonly [string, Path, Path, Path])[] = [
    ["plug2tap", "our switch, plug2tap", "vde_switch, plug2tap", "vde-forward, plug2tap"],
    ["taps", "our switch, taps", "vde_switch, taps", "vde-forward, taps"],
    ["super-frames", "our switch, our plugs", "vde_switch, plug2tap", "vde-forward, hops"],
  ];
  const paths = [...new Set(cases.flatMap(([, ...three]) => three)), "veth" as const];
  const rates = await measurePaths(paths, options);
  const rate = (path: Path): number[] => rates.get(path)!;
  const veth = { bench: "vde-limit", case: "veth", metric: "throughput-limit" };
  return [
    ...cases.flatMap(([name, ours, peer, limit]) =>
      figures({ case: name, metric: "throughput" }, rateFigure, {
        ours: rate(ours),
        peer: rate(peer),
        limit: rate(limit),
      }),
    ),
    ...(["vde_switch, plug2tap", "vde_switch, taps"] as const).map((peerName) =>
      rateFigure({ ...veth, peerName }, rate("veth"), rate(peerName)),
    ),
  ];
}

/** @throws V2Error without a C compiler, Debian's vde2, or namespaces. */
export async function run(options: LoadOptions): Promise<Figure[]> {
  return [...(await switchFigures(options)), ...(await tcpFigures(options))];
}
