/**
 * TCP between two network namespaces, one stream, `throughput` in megabits of payload per second:
 *
 *   plug2tap      Debian's vde_plug2tap on both sides; our switch, and Debian's
 *   super-frames  our plugs with their TAPs on our switch; the same of Debian's
 *   taps          a switch with two TAPs of its own; ours, and Debian's
 *   veth          our switch with two TAPs; the kernel's veth pair, without any switch
 *   veth-plugs    our plugs with their TAPs on our switch; the same pair
 *
 * All paths exist at once and are measured in turns. The shares of veth are those of a limit.
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { V2Error } from "../src/base/index.ts";
import { type Figure, rateFigure } from "./figure.ts";
import { Namespaces, until } from "./namespaces.ts";
import { compileFixture, V2 } from "./programs.ts";

export interface TcpOptions {
  /** Interleaved rounds. */
  readonly runs: number;
  /** Length of one measurement (1). */
  readonly seconds?: number;
}

const PORT = 5201;

/** The paths, each a network of its own: 10.61.N.0/24. */
const PATHS = [
  "our switch, plug2tap",
  "vde_switch, plug2tap",
  "our switch, our plugs",
  "our switch, taps",
  "vde_switch, taps",
  "veth",
  "vde-forward, plug2tap",
  "vde-forward, taps",
  "vde-forward, hops",
] as const;
/** How the two namespaces are joined; vde-forward is the limit (fixtures/vde-forward.c). */
export type Path = (typeof PATHS)[number];

/** Two namespaces with every path between them. */
class TcpBench {
  readonly #place = mkdtempSync(join(tmpdir(), "v2-bench-"));
  readonly #program = join(this.#place, "tcp-stream");
  readonly #forwarder = join(this.#place, "vde-forward");
  readonly #spaces: Namespaces;

  private constructor(spaces: Namespaces) {
    this.#spaces = spaces;
  }

  static async open(paths: readonly Path[]): Promise<TcpBench> {
    const bench = new TcpBench(await Namespaces.open());
    try {
      compileFixture("tcp-stream", bench.#program);
      compileFixture("vde-forward", bench.#forwarder);
      for (const path of paths) await bench.#make(path);
      const receiver = bench.#spaces.start("right", bench.#program, "receive", String(PORT));
      await until("tcp-stream", () => receiver.output().includes("ready"));
    } catch (error) {
      await bench.close();
      throw error;
    }
    return bench;
  }

  /** @returns megabits of payload per second. */
  measure(path: Path, seconds: number): number {
    const words = ["send", addresses(path)[1], String(PORT), String(seconds)];
    const text = this.#spaces.run("left", this.#program, ...words);
    const { octets, seconds: taken } = JSON.parse(text) as { octets: number; seconds: number };
    return (octets * 8) / taken / 1e6;
  }

  async close(): Promise<void> {
    await this.#spaces.close();
    rmSync(this.#place, { recursive: true, force: true });
  }

  /** Sets one path up, from switch to addresses. */
  async #make(path: Path): Promise<void> {
    const spaces = this.#spaces;
    const number = PATHS.indexOf(path);
    const sides = [
      ["left", `l${number}`],
      ["right", `r${number}`],
    ] as const;
    const directory = join(this.#place, `switch${number}`);
    const hasTaps = path.endsWith(", taps") || path.endsWith(", hops");
    if (path === "veth") {
      const [l, r] = sides.map(([, name]) => name) as [string, string];
      spaces.run("middle", "ip", "link", "add", l, "type", "veth", "peer", "name", r);
    } else {
      const words = this.#switchLine(path, directory, hasTaps ? sides.map(([, name]) => name) : []);
      const { child } = spaces.start("middle", ...words);
      await until(words.join(" "), () => {
        if (child.exitCode !== null) throw new V2Error("NO_SWITCH", `${words.join(" ")} ended`);
        return existsSync(join(directory, "ctl"));
      });
    }
    for (const [i, [side, name]] of sides.entries()) {
      if (path === "veth" || hasTaps) await spaces.move(name, side);
      else if (path.endsWith("our plugs")) {
        spaces.start(side, process.execPath, V2, "plug", directory, `tap://${name}`);
      } else spaces.start(side, "vde_plug2tap", "-s", directory, name);
      await spaces.configure(side, name, addresses(path)[i]!);
    }
  }

  /** Command line of the switch or forwarder of a path. */
  #switchLine(path: Path, directory: string, taps: readonly string[]): readonly string[] {
    const [kind, ends] = path.split(", ");
    if (kind === "vde-forward") {
      const mode = ends === "plug2tap" ? "switch" : ends!;
      return [this.#forwarder, mode, directory, ...taps];
    }
    const options = ["-s", directory, ...taps.flatMap((name) => ["-t", name])];
    return kind === "our switch"
      ? [process.execPath, V2, "switch", "--nostdin", ...options]
      : ["vde_switch", ...options];
  }
}

/** Of the left and the right side. */
function addresses(path: Path): readonly [string, string] {
  const network = `10.61.${PATHS.indexOf(path)}`;
  return [`${network}.1`, `${network}.2`];
}

/** Megabits per second of each round, by path; all paths exist at once, and take turns. */
export async function measurePaths(
  paths: readonly Path[],
  { runs, seconds = 1 }: TcpOptions,
): Promise<Map<Path, number[]>> {
  const bench = await TcpBench.open(paths);
  const rates = new Map<Path, number[]>(paths.map((path) => [path, []]));
  try {
    for (let round = -1; round < runs; round++) {
      // Whoever is last in one round is first in the next.
      const order = round % 2 === 0 ? paths : paths.toReversed();
      for (const path of order) {
        const rate = bench.measure(path, round < 0 ? seconds / 4 : seconds);
        if (round >= 0) rates.get(path)!.push(rate);
      }
    }
  } finally {
    await bench.close();
  }
  return rates;
}

/** @throws V2Error without a C compiler, Debian's vde2, or namespaces. */
export async function run(options: TcpOptions): Promise<Figure[]> {
  const paths = PATHS.filter((path) => !path.startsWith("vde-forward"));
  const rates = await measurePaths(paths, options);
  const compare = (name: string, ours: Path, peer: Path): Figure =>
    rateFigure(
      { bench: "vde-tcp", case: name, metric: "throughput", peerName: peer },
      rates.get(ours)!,
      rates.get(peer)!,
    );
  return [
    compare("plug2tap", "our switch, plug2tap", "vde_switch, plug2tap"),
    compare("super-frames", "our switch, our plugs", "vde_switch, plug2tap"),
    compare("taps", "our switch, taps", "vde_switch, taps"),
    compare("veth", "our switch, taps", "veth"),
    compare("veth-plugs", "our switch, our plugs", "veth"),
  ];
}
