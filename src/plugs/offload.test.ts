/** Cables that carry unfinished frames and cables that do not, on one switch. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ADDRESSES, putSegment, SEGMENT } from "../../test/super-frames.ts";
import { FramePool, OFFLOAD } from "../base/index.ts";
import { pollFd, READY } from "../sys/index.ts";
import { readPcapng, TcpView } from "../wire/index.ts";
import { CaptureFile } from "./capture-file.ts";
import { receiveOne, sendOne } from "./conformance.ts";
import type { CableEnd } from "./end.ts";
import { openVdeAsync } from "./vde-end.ts";
import { VdeServer, type VdeServerOptions } from "./vde-server.ts";

/** How long a frame may take to come; only a failing test waits so long. */
const PATIENCE_MS = 5000;
const STREAM = 50_000;

/** Four stations with the addresses 02:…:1 to 4; the first two ask for unfinished frames. */
class Lan {
  readonly pool = new FramePool(8);
  readonly place = mkdtempSync(join(tmpdir(), "v2-offload-"));
  readonly ends: CableEnd[] = [];
  #server: VdeServer | undefined;

  async start(options: Omit<VdeServerOptions, "directory"> = {}): Promise<void> {
    const directory = join(this.place, "lan");
    this.#server = await VdeServer.start({ ...options, directory });
    for (let i = 0; i < 4; i++) this.ends.push(await openVdeAsync({ directory, offload: i < 2 }));
  }

  get server(): VdeServer {
    return this.#server!;
  }

  /** Lets the switch learn where the stations are. */
  introduce(): void {
    for (const [i, end] of this.ends.entries()) {
      const hello = new Uint8Array(60).fill(255, 0, 6);
      hello.set([2, 0, 0, 0, 0, i + 1], 6);
      sendOne(this.pool, end, hello);
      for (const other of this.ends) if (other !== end) receiveOne(this.pool, other);
    }
  }

  /** The first station sends a super-frame to the one with this address. */
  sendSuper(to: number): void {
    const slot = this.pool.take();
    putSegment(this.pool, slot, STREAM);
    const start = this.pool.start[slot]!;
    if (to === 0) this.pool.octets.fill(255, start, start + 6);
    else this.pool.octets[start + 5] = to;
    assert.equal(this.ends[0]!.send(this.pool, Int32Array.of(slot), 0, 1), 1);
    this.pool.release(slot);
  }

  /**
   * Frames with data until the stream has come, each checked.
   * @param tag on each of them; 0: none.
   * @returns their payload lengths.
   */
  receiveStream(at: number, tag = 0): number[] {
    const transport = tag === 0 ? 34 : 38;
    const lengths: number[] = [];
    let octets = 0;
    while (octets < STREAM) {
      const frame = receiveOne(this.pool, this.ends[at]!);
      if (tag !== 0) assert.deepEqual([...frame.subarray(12, 16)], [0x81, 0, 0, tag]);
      const tcp = TcpView.over(frame.subarray(transport))!;
      assert.equal(tcp.problem(ADDRESSES), undefined);
      assert.equal(tcp.sequence, octets);
      lengths.push(tcp.payload.length);
      octets += tcp.payload.length;
    }
    return lengths;
  }

  /** One frame as it is, unfinished. */
  receiveSuper(at: number): { readonly octets: number; readonly offload: number } {
    const slot = this.pool.take();
    const end = this.ends[at]!;
    while (end.receive(this.pool, Int32Array.of(slot), 1) === 0) {
      assert.notEqual(pollFd(end.receiveFd, READY.readable, PATIENCE_MS), 0, "no frame");
    }
    this.pool.release(slot);
    return { octets: this.pool.length[slot]!, offload: this.pool.offload[slot]! };
  }

  async close(): Promise<void> {
    for (const end of this.ends) end.close();
    await this.#server?.close();
    rmSync(this.place, { recursive: true, force: true });
  }
}

async function onLan(
  options: (place: string) => Omit<VdeServerOptions, "directory">,
  body: (lan: Lan) => void | Promise<void>,
): Promise<void> {
  const lan = new Lan();
  try {
    await lan.start(options(lan.place));
    await body(lan);
  } finally {
    await lan.close();
  }
}

const SUPER = { octets: 54 + STREAM, offload: OFFLOAD.tcp4 } as const;
const CUT = Array.from({ length: Math.ceil(STREAM / SEGMENT) }, (_, i) =>
  Math.min(SEGMENT, STREAM - i * SEGMENT),
);

test("only a cable that asked gets unfinished frames; another gets finished segments", async () => {
  await onLan(
    () => ({}),
    (lan) => {
      assert.deepEqual(
        lan.ends.map(({ offload }) => offload),
        [true, true, false, false],
      );
      lan.introduce();
      lan.sendSuper(2);
      assert.deepEqual(lan.receiveSuper(1), SUPER);
      lan.sendSuper(3);
      assert.deepEqual(lan.receiveStream(2), CUT);
    },
  );
});

test("a flooded super-frame comes to each station as it can take it", async () => {
  await onLan(
    () => ({}),
    async (lan) => {
      lan.sendSuper(0);
      assert.deepEqual(lan.receiveSuper(1), SUPER);
      assert.deepEqual(lan.receiveStream(2), CUT);
      assert.deepEqual(lan.receiveStream(3), CUT);
      const { counters } = await lan.server.status();
      assert.equal(counters.superFramesCut, 2);
      assert.equal(counters.superFramesLost, 0);
    },
  );
});

test("a super-frame keeps its VLAN: with a tag for tagged ports, cut for legacy ones", async () => {
  await onLan(
    () => ({}),
    async (lan) => {
      const { management } = lan.server;
      await management.createVlan(5);
      for (const port of [1, 4]) assert.equal(await management.setPortVlan(port, 5), 0);
      for (const port of [2, 3]) assert.equal(await management.addVlanPort(5, port), 0);
      lan.sendSuper(0);
      assert.deepEqual(lan.receiveSuper(1), { ...SUPER, octets: SUPER.octets + 4 });
      assert.deepEqual(lan.receiveStream(2, 5), CUT);
      assert.deepEqual(lan.receiveStream(3), CUT);
    },
  );
});

test("a capture shows a super-frame as one frame with its checksum filled in", async () => {
  let file: CaptureFile | undefined;
  let path = "";
  await onLan(
    (place) => {
      path = join(place, "all.pcapng");
      file = new CaptureFile(path);
      return { captures: [{ file }] };
    },
    async (lan) => {
      lan.introduce();
      lan.sendSuper(3);
      lan.receiveStream(2);
      await lan.server.close();
      await file!.close();
      const frames = [...readPcapng(readFileSync(path))].filter(({ kind }) => kind === "frame");
      const last = frames.at(-1)!;
      assert.ok(last.kind === "frame" && last.octets.length === SUPER.octets);
      assert.equal(TcpView.over(last.octets.subarray(34))!.problem(ADDRESSES), undefined);
    },
  );
});
