import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  DelayAndLoss,
  DelayLine,
  type Delivery,
  type ImpairmentStage,
  LINE_FRAMES_MAX,
  stageOf,
} from "./impairment.ts";

const FRAME = Uint8Array.of(1, 2, 3);

/** A stage that says for each frame when its copies arrive, relative to now. */
class Scripted implements ImpairmentStage {
  readonly #delays: number[][];

  constructor(delays: readonly (readonly number[])[]) {
    this.#delays = delays.map((each) => [...each]);
  }

  pass(frame: Uint8Array, nowMs: number): readonly Delivery[] {
    return (this.#delays.shift() ?? []).map((delay) => ({ frame, atMs: nowMs + delay }));
  }
}

test("a line gives frames in the order of their times, equals in the order they came", () => {
  const delays = fc.array(fc.array(fc.nat({ max: 9 }), { maxLength: 3 }), { maxLength: 40 });
  fc.assert(
    fc.property(delays, (script) => {
      const line = new DelayLine<number>(new Scripted(script));
      const expected: { at: number; order: number; name: number }[] = [];
      script.forEach((copies, name) => {
        line.push(FRAME, name, name);
        for (const delay of copies) {
          expected.push({ at: name + delay, order: expected.length, name });
        }
      });
      expected.sort((a, b) => a.at - b.at || a.order - b.order);
      assert.equal(line.size, expected.length);
      assert.equal(line.lost, script.filter((copies) => copies.length === 0).length);
      for (const { at, name } of expected) {
        assert.equal(line.nextMs, at);
        assert.equal(line.peek(at - 1), undefined);
        assert.equal(line.peek(at)?.rider, name);
        line.shift();
      }
      assert.equal(line.nextMs, Number.POSITIVE_INFINITY);
    }),
    { seed: 17 },
  );
});

test("a full line refuses frames and counts them", () => {
  const line = new DelayLine<undefined>(new DelayAndLoss({ delayMs: 1, loss: 0, seed: 1 }));
  for (let i = 0; i < LINE_FRAMES_MAX + 3; i++) line.push(FRAME, undefined, 0);
  assert.equal(line.size, LINE_FRAMES_MAX);
  assert.equal(line.overflowed, 3);
});

/** Which of many frames a stage lets pass, as a text of 0 and 1. */
function history(stage: ImpairmentStage): string {
  return Array.from({ length: 10_000 }, (_, i) => stage.pass(FRAME, i).length).join("");
}

test("the same seed loses the same frames, another lane others, and as many as asked for", () => {
  const settings = { delayMs: 0, loss: 0.1, seed: 42 };
  assert.equal(history(stageOf(settings, 3)), history(stageOf(settings, 3)));
  assert.notEqual(history(stageOf(settings, 3)), history(stageOf(settings, 4)));
  const lost = history(stageOf(settings, 0)).replaceAll("1", "").length;
  // Five standard deviations of 10 000 tries at 0.1.
  assert.ok(Math.abs(lost - 1000) < 150, `${lost}`);
  assert.equal(history(stageOf({ ...settings, loss: 1 }, 0)).includes("1"), false);
  assert.equal(history(stageOf({ ...settings, loss: 0 }, 0)).includes("0"), false);
});
