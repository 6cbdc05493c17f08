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
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { EXIT, V2Error } from "../src/base/index.ts";
import { type Figure, rateFigure } from "./figure.ts";
import { Namespaces, until } from "./namespaces.ts";

export interface TcpOptions {
  /** Interleaved rounds. */
  readonly runs: number;
  /** Length of one measurement (1). */
  readonly seconds?: number;
}

/** The checkout: this file runs from build/bench. */
const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const V2 = [process.execPath, join(ROOT, "build/src/cli/main.js")];
const FIXTURE = join(ROOT, "bench/fixtures/tcp-stream.c");
const PORT = 5201;

/** The paths, each a network of its own: 10.61.N.0/24. */
const PATHS = [
  "our switch, plug2tap",
  "vde_switch, plug2tap",
  "our switch, our plugs",
  "our switch, taps",
  "vde_switch, taps",
  "veth",
] as const;
type Path = (typeof PATHS)[number];

/** Two namespaces with every path between them. */
class TcpBench {
  readonly #place = mkdtempSync(join(tmpdir(), "v2-bench-"));
  readonly #program = join(this.#place, "tcp-stream");
  readonly #spaces: Namespaces;

  private constructor(spaces: Namespaces) {
    this.#spaces = spaces;
  }

  static async open(): Promise<TcpBench> {
    const bench = new TcpBench(await Namespaces.open());
    try {
      bench.#compile();
      for (const path of PATHS) await bench.#make(path);
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

  #compile(): void {
    const { status, stderr } = spawnSync("cc", ["-O2", "-o", this.#program, FIXTURE], {
      encoding: "utf8",
    });
    if (status === 0) return;
    throw new V2Error("NO_COMPILER", `the load program cannot be compiled: ${stderr ?? "no cc"}`, {
      remedy: "apt install gcc libc6-dev",
      exitCode: EXIT.unavailable,
    });
  }

  /** Sets one path up, from switch to addresses. */
  async #make(path: Path): Promise<void> {
    const spaces = this.#spaces;
    const number = PATHS.indexOf(path);
    const sides = [
      ["left", `l${number}`],
      ["right", `r${number}`],
    ] as const;
    const isOurs = path.startsWith("our");
    const directory = join(this.#place, `switch${number}`);
    const taps = path.endsWith(", taps") ? sides.flatMap(([, name]) => ["-t", name]) : [];
    if (path === "veth") {
      const ends = ["l5", "type", "veth", "peer", "name", "r5"];
      spaces.run("middle", "ip", "link", "add", ...ends);
    } else {
      const words = isOurs
        ? [...V2, "switch", "--nostdin", "-s", directory, ...taps]
        : ["vde_switch", "-s", directory, ...taps];
      const { child } = spaces.start("middle", ...words);
      await until(words.join(" "), () => {
        if (child.exitCode !== null) throw new V2Error("NO_SWITCH", `${words.join(" ")} ended`);
        return existsSync(join(directory, "ctl"));
      });
    }
    for (const [i, [side, name]] of sides.entries()) {
      if (path === "veth" || taps.length > 0) await spaces.move(name, side);
      else if (path.endsWith("our plugs")) {
        spaces.start(side, ...V2, "plug", directory, `tap://${name}`);
      } else spaces.start(side, "vde_plug2tap", "-s", directory, name);
      await spaces.configure(side, name, addresses(path)[i]!);
    }
  }
}

/** Of the left and the right side. */
function addresses(path: Path): readonly [string, string] {
  const network = `10.61.${PATHS.indexOf(path)}`;
  return [`${network}.1`, `${network}.2`];
}

/** @throws V2Error without a C compiler, Debian's vde2, or namespaces. */
export async function run({ runs, seconds = 1 }: TcpOptions): Promise<Figure[]> {
  const bench = await TcpBench.open();
  const rates = new Map<Path, number[]>(PATHS.map((path) => [path, []]));
  try {
    for (let round = -1; round < runs; round++) {
      // Whoever is last in one round is first in the next.
      const order = round % 2 === 0 ? PATHS : PATHS.toReversed();
      for (const path of order) {
        const rate = bench.measure(path, round < 0 ? seconds / 4 : seconds);
        if (round >= 0) rates.get(path)!.push(rate);
      }
    }
  } finally {
    await bench.close();
  }
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
