/** Load on two switches in turn, ours and Debian's: what `vde-switch` and `vde-overload` share. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { EXIT, V2Error } from "../src/base/index.ts";
import { type Figure, rateFigure } from "./figure.ts";

/** How often, and for how long each time. */
export interface LoadOptions {
  /** Interleaved rounds. */
  readonly runs: number;
  /** Length of one measurement (1.5). */
  readonly seconds?: number;
}

/** What the load program saw in one measurement. */
export interface Load {
  readonly sent: number;
  readonly received: number;
  readonly seconds: number;
  /** CPU time of the switch. */
  readonly cpuSeconds: number;
  /** Time of a frame there and back in microseconds, the median; 0 but for "rtt". */
  readonly medianRtt: number;
}

export type LoadMode = "window" | "overload" | "rtt" | "flood";
/** Ports of a switch unless said otherwise. */
const PORTS = 32;
export const PEER = "vde_switch";

/** The checkout: this file runs from build/bench. */
const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const V2 = join(ROOT, "build/src/cli/main.js");
const FIXTURE = join(ROOT, "bench/fixtures/vde-load.c");

/** Two running switches and the compiled load program. */
export class LoadBench {
  readonly #place = mkdtempSync(join(tmpdir(), "v2-bench-"));
  readonly #program = join(this.#place, "vde-load");
  readonly #switches: { directory: string; child: ReturnType<typeof spawn> }[] = [];

  /** @throws V2Error without a C compiler or the peer. */
  static async start(ports = PORTS): Promise<LoadBench> {
    const bench = new LoadBench();
    try {
      bench.#compile();
      const ours = join(bench.#place, "ours");
      const theirs = join(bench.#place, "peer");
      const words = ["switch", "--sock", ours, "-n", String(ports), "--nostdin"];
      await bench.#run(process.execPath, [V2, ...words], ours);
      await bench.#run(PEER, ["-s", theirs, "-n", String(ports)], theirs);
    } catch (error) {
      await bench.close();
      throw error;
    }
    return bench;
  }

  /**
   * One measurement on one of the switches.
   * @param more for "window" silent cables besides; for "flood" frames per second of the storm.
   */
  measure(
    whose: "ours" | "peer",
    mode: LoadMode,
    octets: number,
    batch: number,
    seconds: number,
    more = 0,
  ): Load {
    const { directory, child } = this.#switches[whose === "ours" ? 0 : 1]!;
    const words = [mode, directory, octets, seconds, child.pid, batch, more].map(String);
    const { status, stdout, stderr } = spawnSync(this.#program, words, { encoding: "utf8" });
    if (status !== 0) throw new V2Error("LOAD_FAILED", `vde-load ${words.join(" ")}: ${stderr}`);
    return JSON.parse(stdout) as Load;
  }

  async close(): Promise<void> {
    for (const { child } of this.#switches) {
      if (child.exitCode !== null) continue;
      child.kill("SIGTERM");
      await once(child, "exit");
    }
    rmSync(this.#place, { recursive: true, force: true });
  }

  #compile(): void {
    const words = ["-O2", "-pthread", "-o", this.#program, FIXTURE];
    const { status, stderr } = spawnSync("cc", words, { encoding: "utf8" });
    if (status === 0) return;
    throw new V2Error("NO_COMPILER", `the load program cannot be compiled: ${stderr ?? "no cc"}`, {
      remedy: "apt install gcc libc6-dev",
      exitCode: EXIT.unavailable,
    });
  }

  async #run(program: string, argv: readonly string[], directory: string): Promise<void> {
    // A switch ends at the end of its standard input, so it gets one that stays open.
    // The peer tells a line for each frame to a client that has just gone: thousands here.
    const errors = program === PEER ? "ignore" : "inherit";
    const child = spawn(program, argv, { stdio: ["pipe", "ignore", errors] });
    const failed = new Promise<never>((_, reject) => {
      child.once("error", () =>
        reject(
          new V2Error("NO_PEER", `'${program}' cannot be started`, {
            remedy: "apt install vde2",
            exitCode: EXIT.unavailable,
          }),
        ),
      );
    });
    this.#switches.push({ directory, child });
    const isUp = async (): Promise<void> => {
      while (!existsSync(join(directory, "ctl")) && child.exitCode === null) {
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    };
    await Promise.race([isUp(), failed]);
  }
}

/**
 * Runs a load on both switches in turn, `runs` times after one round to warm up.
 * @returns what each round gave, ours and the peer's.
 */
export function interleave(
  bench: LoadBench,
  mode: LoadMode,
  octets: number,
  batch: number,
  { runs, seconds = 1.5 }: LoadOptions,
): { ours: Load[]; peer: Load[] } {
  const loads = { ours: [] as Load[], peer: [] as Load[] };
  for (let round = -1; round < runs; round++) {
    // Whoever is second in one round is first in the next.
    const order = round % 2 === 0 ? (["ours", "peer"] as const) : (["peer", "ours"] as const);
    for (const whose of order) {
      const load = bench.measure(whose, mode, octets, batch, round < 0 ? seconds / 3 : seconds);
      if (round >= 0) loads[whose].push(load);
    }
  }
  return loads;
}

/** A load without and with a disturbance, on both switches. */
export interface Disturbance {
  readonly mode: LoadMode;
  /** `more` of `measure`, without and with. */
  readonly without: number;
  readonly with: number;
}

/** Frames per second that came through. */
export const received = (load: Load): number => load.received / load.seconds;

/**
 * What a disturbance leaves of the rate: `share` is ours with it against ours without it (1: it
 * costs nothing), `share-of-peer` our share against the peer's.
 */
export function shareFigures(
  bench: LoadBench,
  name: { readonly bench: string; readonly case: string },
  { mode, ...more }: Disturbance,
  { runs, seconds = 1 }: LoadOptions,
): Figure[] {
  const rates = { ours: shareRates(), peer: shareRates() };
  for (let round = -1; round < runs; round++) {
    const order = round % 2 === 0 ? (["without", "with"] as const) : (["with", "without"] as const);
    for (const whose of ["ours", "peer"] as const) {
      for (const which of order) {
        const load = bench.measure(whose, mode, 64, SHARE_BATCH, seconds, more[which]);
        if (round >= 0) rates[whose][which].push(received(load));
      }
    }
  }
  const shares = (whose: "ours" | "peer"): number[] =>
    rates[whose].with.map((rate, round) => rate / rates[whose].without[round]!);
  const { with: ours, without } = rates.ours;
  return [
    rateFigure({ ...name, metric: "share", peerName: "undisturbed" }, ours, without),
    rateFigure(
      { ...name, metric: "share-of-peer", peerName: PEER },
      shares("ours"),
      shares("peer"),
    ),
  ];
}

const SHARE_BATCH = 16;

function shareRates(): { readonly with: number[]; readonly without: number[] } {
  return { with: [], without: [] };
}
