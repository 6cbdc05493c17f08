/** Impaired ports of a switch in virtual time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FramePool } from "../base/index.ts";
import { SimLink } from "./link.ts";
import { Simulation } from "./simulation.ts";
import { Station } from "./station.ts";
import { SwitchNode } from "./switch-node.ts";

const FRAMES = 2000;
const DELAY_MS = 30;
const LOSS = 0.2;

/** A station that also notes when it heard what. */
class Timed extends Station {
  readonly times: string[] = [];
  readonly #simulation: Simulation;

  constructor(id: number, simulation: Simulation) {
    super(id);
    this.#simulation = simulation;
  }

  override receive(port: number, frame: Uint8Array): void {
    super.receive(port, frame);
    this.times.push(`${[...frame.subarray(14, 18)].join(".")} ${this.#simulation.nowMs()}`);
  }
}

/**
 * One station talks through an impaired port to another. @returns what that one heard, and when.
 */
function history(seed: number, talks: 1 | 2 = 1): Timed {
  const simulation = new Simulation(1);
  const node = new SwitchNode(simulation, "s", {}, new FramePool(8));
  const stations = [new Timed(1, simulation), new Timed(2, simulation)] as const;
  stations.forEach((station, i) => {
    const far = { node: station, port: 1 };
    new SimLink(simulation, { node, port: i + 1 }, far, { delayMs: 0 }).plug();
  });
  node.impair(1, { delayMs: DELAY_MS, loss: LOSS, seed });
  for (let number = 0; number < FRAMES; number++) {
    simulation.at(number, () => stations[talks - 1]!.broadcast(number));
  }
  simulation.run(FRAMES + 2 * DELAY_MS);
  return stations[2 - talks]!;
}

for (const talks of [1, 2] as const) {
  const way = talks === 1 ? "into" : "out of";
  test(`frames ${way} an impaired port arrive late or not at all, each seed in its own way`, () => {
    const { heard, times } = history(7, talks);
    assert.deepEqual(times, history(7, talks).times);
    assert.notDeepEqual(times, history(8, talks).times);
    for (const line of times) {
      const [number = "", at = ""] = line.split(" ");
      const sentMs = number.split(".").reduce((value, octet) => value * 256 + Number(octet), 0);
      assert.equal(Number(at), sentMs + DELAY_MS);
    }
    // Five standard deviations.
    const expected = FRAMES * (1 - LOSS);
    assert.ok(Math.abs(heard.size - expected) < 90, `${heard.size}`);
    assert.ok([...heard.values()].every((copies) => copies === 1));
  });
}
