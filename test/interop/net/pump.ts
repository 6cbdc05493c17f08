/**
 * A worker thread that attaches two network namespaces with one cable and moves the frames between
 * them until it is told to stop. Started by in-user-namespace.ts.
 */
import { parentPort, workerData } from "node:worker_threads";
import { FramePool } from "../../../src/base/index.ts";
import {
  attachNamespace,
  BATCH_FRAMES,
  type CableEnd,
  type NamespaceCableOptions,
} from "../../../src/plugs/index.ts";
import { waitReadable } from "../../../src/sys/index.ts";

export interface PumpData {
  readonly ends: readonly [NamespaceCableOptions, NamespaceCableOptions];
  /** One word: 1 asks the pump to stop. */
  readonly stop: SharedArrayBuffer;
}

const { ends: options, stop } = workerData as PumpData;
const stopWord = new Int32Array(stop);
const ends = options.map((o) => attachNamespace(o)) as [CableEnd, CableEnd];
const pool = new FramePool(BATCH_FRAMES);
const slots = new Int32Array(BATCH_FRAMES);
const counted = { frames: 0, octetsMax: 0, tagged: 0, lost: 0 };

function move(from: CableEnd, to: CableEnd): void {
  for (let i = 0; i < BATCH_FRAMES; i++) slots[i] = pool.take();
  const received = Math.max(0, from.receive(pool, slots, BATCH_FRAMES));
  for (let i = 0; i < received; i++) {
    const frame = slots[i]!;
    const start = pool.start[frame]!;
    counted.octetsMax = Math.max(counted.octetsMax, pool.length[frame]!);
    if (pool.octets[start + 12] === 0x81 && pool.octets[start + 13] === 0) counted.tagged++;
  }
  counted.frames += received;
  if (received > 0) counted.lost += received - Math.max(0, to.send(pool, slots, 0, received));
  for (let i = 0; i < BATCH_FRAMES; i++) pool.release(slots[i]!);
}

parentPort?.postMessage("ready");
while (Atomics.load(stopWord, 0) === 0) {
  waitReadable(
    ends.map((end) => end.receiveFd),
    20,
  );
  move(ends[0], ends[1]);
  move(ends[1], ends[0]);
}
for (const end of ends) end.close();
parentPort?.postMessage(counted);
