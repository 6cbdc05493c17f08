/** Load on switches in turn, ours and Debian's: what the benchmarks of the switch share. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EXIT, V2Error } from "../src/base/index.ts";
import { type Figure, rateFigure } from "./figure.ts";
import { compileFixture, V2 } from "./programs.ts";

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
/** The limit is a forwarder in C that knows no addresses: bench/fixtures/vde-forward.c. */
export type Whose = "ours" | "peer" | "limit";
/** Ports of a switch unless said otherwise. */
const PORTS = 32;
export const PEER = "vde_switch";

/** Running switches and the compiled load program. */
export class LoadBench {
  readonly #place = mkdtempSync(join(tmpdir(), "v2-bench-"));
  readonly #program = join(this.#place, "vde-load");
  readonly #switches = new Map<Whose, { directory: string; child: ReturnType<typeof spawn> }>();

  /**
   * @param withLimit starts the forwarder in C too.
   * @throws V2Error without a C compiler or the peer.
   */
  static async start(ports = PORTS, withLimit = false): Promise<LoadBench> {
    const bench = new LoadBench();
    try {
      compileFixture("vde-load", bench.#program);
      const ours = join(bench.#place, "ours");
      const theirs = join(bench.#place, "peer");
      const words = ["switch", "--sock", ours, "-n", String(ports), "--nostdin"];
      await bench.#run("ours", process.execPath, [V2, ...words], ours);
      await bench.#run("peer", PEER, ["-s", theirs, "-n", String(ports)], theirs);
      if (withLimit) {
        const [program, limit] = [join(bench.#place, "vde-forward"), join(bench.#place, "limit")];
        compileFixture("vde-forward", program);
        await bench.#run("limit", program, ["switch", limit], limit);
      }
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
    whose: Whose,
    mode: LoadMode,
    octets: number,
    batch: number,
    seconds: number,
    more = 0,
  ): Load {
    const { directory, child } = this.#switches.get(whose)!;
    const words = [mode, directory, octets, seconds, child.pid, batch, more].map(String);
    const { status, stdout, stderr } = spawnSync(this.#program, words, { encoding: "utf8" });
    if (status !== 0) throw new V2Error("LOAD_FAILED", `vde-load ${words.join(" ")}: ${stderr}`);
    return JSON.parse(stdout) as Load;
  }

  async close(): Promise<void> {
    for (const { child } of this.#switches.values()) {
      if (child.exitCode !== null) continue;
      child.kill("SIGTERM");
      await once(child, "exit");
    }
    rmSync(this.#place, { recursive: true, force: true });
  }

  async #run(
    whose: Whose,
    program: string,
    argv: readonly string[],
    directory: string,
  ): Promise<void> {
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
    this.#switches.set(whose, { directory, child });
    const isUp = async (): Promise<void> => {
      while (!existsSync(join(directory, "ctl")) && child.exitCode === null) {
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    };
    await Promise.race([isUp(), failed]);
  }
}

/**
 * Runs a load on switches in turn, `runs` times after one round to warm up.
 * @returns what each round gave, by whose it was.
 */
export function interleave<W extends Whose = "ours" | "peer">(
  bench: LoadBench,
  mode: LoadMode,
  octets: number,
  batch: number,
  { runs, seconds = 1.5 }: LoadOptions,
  whose: readonly W[] = ["ours", "peer"] as unknown as readonly W[],
): Record<W, Load[]> {
  const loads = Object.fromEntries(whose.map((one) => [one, []])) as unknown as Record<W, Load[]>;
  for (let round = -1; round < runs; round++) {
    // Whoever is last in one round is first in the next.
    for (const one of round % 2 === 0 ? whose : whose.toReversed()) {
      const load = bench.measure(one, mode, octets, batch, round < 0 ? seconds / 3 : seconds);
      if (round >= 0) loads[one].push(load);
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

/** Microseconds of the switch's processor time for a frame that came through. */
export const cost = (load: Load): number => (load.cpuSeconds * 1e6) / load.received;

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
