/** Changes that make sound octets interesting: by bit, octet and word, by cutting and splicing. */
import { type Rng, writeU16, writeU32 } from "../src/base/index.ts";

/** Longest input made: more finds nothing new in these formats and costs time. */
const INPUT_OCTETS_MAX = 4096;
const CHANGES_MAX = 4;

/** Numbers at the edges of what lengths and counters can say. */
const EDGES = [
  0, 1, 2, 7, 8, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, 0xffff_ffff,
];

type Mutator = (octets: Uint8Array, rng: Rng, other: Uint8Array) => Uint8Array;

const MUTATORS: readonly Mutator[] = [
  function flipBit(octets, rng) {
    octets[rng.below(octets.length)]! ^= 1 << rng.below(8);
    return octets;
  },
  function setOctet(octets, rng) {
    octets[rng.below(octets.length)] = rng.u32();
    return octets;
  },
  function setEdgeOctet(octets, rng) {
    octets[rng.below(octets.length)] = EDGES[rng.below(EDGES.length)]!;
    return octets;
  },
  function setEdgeWord(octets, rng) {
    const at = rng.below(octets.length);
    const edge = EDGES[rng.below(EDGES.length)]!;
    if (rng.below(2) === 0) writeU16(octets, at, edge);
    else writeU32(octets, at, edge);
    return octets;
  },
  function swapOctets(octets, rng) {
    const a = rng.below(octets.length);
    const b = rng.below(octets.length);
    [octets[a], octets[b]] = [octets[b]!, octets[a]!];
    return octets;
  },
  function cutEnd(octets, rng) {
    return octets.slice(0, rng.below(octets.length + 1));
  },
  function removePiece(octets, rng) {
    const from = rng.below(octets.length);
    return join(octets.subarray(0, from), octets.subarray(from + 1 + rng.below(16)));
  },
  function repeatPiece(octets, rng) {
    const from = rng.below(octets.length);
    const to = from + 1 + rng.below(32);
    return join(octets.subarray(0, to), octets.subarray(from));
  },
  function appendNoise(octets, rng) {
    return join(
      octets,
      Uint8Array.from({ length: 1 + rng.below(16) }, () => rng.u32()),
    );
  },
  function splice(octets, rng, other) {
    const from = rng.below(other.length);
    return join(octets.subarray(0, rng.below(octets.length)), other.subarray(from));
  },
  function overwrite(octets, rng, other) {
    const at = rng.below(octets.length);
    const piece = other.subarray(rng.below(other.length)).subarray(0, octets.length - at);
    octets.set(piece.subarray(0, 1 + rng.below(32)), at);
    return octets;
  },
];

/** A changed copy of one of `seeds`: one to four changes. */
export function mutate(seeds: readonly Uint8Array[], rng: Rng): Uint8Array {
  let octets: Uint8Array = seeds[rng.below(seeds.length)]!.slice();
  const changes = 1 + rng.below(CHANGES_MAX);
  for (let change = 0; change < changes; change++) {
    if (octets.length === 0) octets = Uint8Array.of(rng.u32());
    const other = seeds[rng.below(seeds.length)]!;
    const mutator = MUTATORS[rng.below(MUTATORS.length)]!;
    octets = mutator(octets, rng, other).subarray(0, INPUT_OCTETS_MAX);
  }
  return octets;
}

function join(head: Uint8Array, tail: Uint8Array): Uint8Array {
  const joined = new Uint8Array(head.length + tail.length);
  joined.set(head);
  joined.set(tail, head.length);
  return joined;
}
