/**
 * What a VDE switch and its clients read from strangers. Streams are cut in two at a place the
 * input chooses: the result must be that of the whole.
 */
import assert from "node:assert/strict";
import { FramePool } from "../src/base/index.ts";
import {
  ConsoleReader,
  DROP,
  emitRequest,
  FLOOD,
  FrameReader,
  IpLog,
  LineSplitter,
  RequestReader,
  Switch,
  type SwitchOptions,
} from "../src/vde/index.ts";
import { BPDU_FRAME_OCTETS, BpduView, emitBpdu, parseBpdu, printBpdu } from "../src/wire/index.ts";
import { realBpdus } from "../test/real-bpdus.ts";
import { realFrames } from "../test/real-frames.ts";
import type { FuzzTarget } from "./target.ts";

const PORTS = 8;
/** Stations that a table holds: few, so that it is full at times. */
const ENTRIES = 16;
/** In VLAN 0, and a tagged one of VLAN 5. */
const TREE_PORTS = [1, 2, 4];
/** What one BPDU at each port may set off: hellos, and answers to all ports in two VLANs. */
const TREE_REPLIES_MAX = 100;
const BRIDGE_GROUP = Uint8Array.of(1, 0x80, 0xc2, 0, 0, 0);
const utf8 = new TextEncoder();

/** The input as two pieces of a stream. */
function cut(octets: Uint8Array): readonly [Uint8Array, Uint8Array] {
  const at = octets.length === 0 ? 0 : octets[octets.length - 1]! % (octets.length + 1);
  return [octets.subarray(0, at), octets.subarray(at)];
}

function readRequest(pieces: readonly Uint8Array[]) {
  const reader = new RequestReader();
  for (const piece of pieces) reader.push(piece);
  const { request, refusal, description } = reader;
  assert.ok(request === undefined || refusal === undefined, "accepted or refused, not both");
  return { request, refusal, description };
}

function readFrames(pieces: readonly Uint8Array[]): Uint8Array[] {
  const reader = new FrameReader();
  const pool = new FramePool(1);
  const slot = pool.take();
  const frames: Uint8Array[] = [];
  for (const piece of pieces) {
    const at = reader.fillAt;
    reader.buffer.set(piece, at);
    reader.filled(piece.length);
    while (reader.take(pool, slot)) frames.push(pool.frame(slot).slice());
  }
  return frames;
}

/** A switch with access and trunk ports, so that every path of the VLAN code is taken. */
function trunkedSwitch(options: SwitchOptions = {}): Switch {
  const made = new Switch({ ...options, ports: PORTS, entriesMax: ENTRIES });
  made.apply({ kind: "vlan", change: { kind: "create", vlan: 5 } }, 0);
  made.apply({ kind: "vlan", change: { kind: "untagged", port: 3, vlan: 5 } }, 0);
  made.apply({ kind: "vlan", change: { kind: "member", vlan: 5, port: 4, isMember: true } }, 0);
  return made;
}

function forward(
  made: Switch,
  pool: FramePool,
  octets: Uint8Array,
  port: number,
  nowMs: number,
): void {
  const slot = pool.take();
  pool.octets.set(octets, pool.start[slot]);
  pool.length[slot] = octets.length;
  const targets = new Int32Array(1);
  made.decideBatch(pool, Int32Array.of(slot), 1, port, nowMs, targets, new Int32Array(1));
  const target = targets[0]!;
  pool.release(slot);
  assert.ok(target === FLOOD || target === DROP || (target >= 0 && target <= PORTS), `${target}`);
}

/**
 * The switches stay: their tables fill as those of running ones do. A seed tells the whole story.
 */
function switchTarget(): FuzzTarget {
  const pool = new FramePool(1);
  const switches = [new Switch({ ports: PORTS, entriesMax: ENTRIES }), trunkedSwitch()];
  return {
    name: "vde-switch",
    seeds: realFrames,
    run(octets) {
      for (const made of switches) {
        for (const port of [1, 3, 4]) forward(made, pool, octets, port, octets.length);
      }
    },
  };
}

/**
 * A switch in the middle of a conversation: two peers on an untagged and a tagged port. Time passes
 * as the input says, so that news also ages and ports take their steps.
 */
function spanningTreeTarget(): FuzzTarget {
  const pool = new FramePool(1);
  const address = Uint8Array.of(2, 0, 0, 0, 0, 1);
  const made = trunkedSwitch({ fstp: { address } });
  let nowMs = 0;
  made.setFstp(true, nowMs);
  for (const port of TREE_PORTS) made.portUp(port, nowMs);
  const sent: Uint8Array[] = [];
  made.outlet = { send: (_, frame) => sent.push(frame.slice()) };
  return {
    name: "vde-fstp",
    seeds: realBpdus,
    run(octets) {
      sent.length = 0;
      nowMs += octets.length === 0 ? 0 : octets[0]! ^ octets[octets.length - 1]!;
      made.fstp!.poll(nowMs);
      // A bridge group address, so that it is not a frame like any other.
      octets.set(BRIDGE_GROUP.subarray(0, octets.length));
      for (const port of TREE_PORTS) forward(made, pool, octets, port, nowMs);
      assert.ok(sent.length <= TREE_REPLIES_MAX, `${sent.length} BPDUs`);
      for (const frame of sent) assert.ok(parseBpdu(BpduView.over(frame)!) !== undefined);
    },
  };
}

const CONSOLE_SESSION =
  "VDE switch V.2.3.2\n(C) Virtual Square\n\nvde$ 0000 DATA END WITH '.'\nPort 0001 up\n.\n" +
  "1000 Success\n\nvde$ 3021 port/+ 03\n1038 Function not implemented\n\nvde$ 9999 END OF SESSION";

/** Parsers of src/vde. */
export const VDE_TARGETS: readonly FuzzTarget[] = [
  {
    name: "vde-handshake",
    seeds: () => [emitRequest("/run/lan/.00001-00000", 3, "plug user=me pid=1")],
    run: (octets) => assert.deepEqual(readRequest(cut(octets)), readRequest([octets])),
  },
  {
    name: "vde-framing",
    seeds: () => [
      Uint8Array.from(
        realFrames()
          .slice(0, 4)
          .flatMap((frame) => [frame.length >> 8, frame.length & 255, ...frame]),
      ),
    ],
    run: (octets) => assert.deepEqual(readFrames(cut(octets)), readFrames([octets])),
  },
  switchTarget(),
  spanningTreeTarget(),
  {
    name: "vde-ip-log",
    seeds: realFrames,
    run(octets) {
      const log = new IpLog();
      log.addRange("0.0.0.0/0");
      log.addRange("::/0");
      const use = log.see(octets, 1, 0, 0);
      assert.deepEqual(log.uses(0), use === undefined ? [] : [use]);
      assert.equal(log.see(octets, 1, 0, 1), undefined, "known by now");
    },
  },
  {
    name: "vde-bpdu",
    seeds: realBpdus,
    run(octets) {
      const view = BpduView.over(octets);
      if (view === undefined) return;
      printBpdu(view);
      const parsed = parseBpdu(view);
      if (parsed === undefined) return;
      const emitted = new Uint8Array(2 * BPDU_FRAME_OCTETS);
      const again = BpduView.over(emitted.subarray(0, emitBpdu(parsed, emitted)));
      assert.ok(again !== undefined);
      assert.deepEqual(parseBpdu(again), parsed);
    },
  },
  {
    name: "vde-console-lines",
    seeds: () => [utf8.encode("port/create 3\nvlan/print\n# comment\r\nshowinfo\n")],
    run(octets) {
      const lines = (pieces: readonly Uint8Array[]): (string | undefined)[] => {
        const splitter = new LineSplitter();
        const found: (string | undefined)[] = pieces.flatMap((piece) => splitter.push(piece));
        return [...found, splitter.take()];
      };
      assert.deepEqual(lines(cut(octets)), lines([octets]));
    },
  },
  {
    name: "vde-console-client",
    seeds: () => [utf8.encode(CONSOLE_SESSION)],
    run(octets) {
      const events = (pieces: readonly Uint8Array[]): unknown[] => {
        const reader = new ConsoleReader();
        return pieces.flatMap((piece) => [...reader.push(piece)]);
      };
      assert.deepEqual(events(cut(octets)), events([octets]));
    },
  },
];
