/** Shapes of networks as pairs of node numbers; the same for the same seed. */
import type { Rng } from "../base/index.ts";

/** A cable between two nodes, by number. */
export type Edge = readonly [number, number];

/** Each node and the next, the last and the first; two nodes get two cables. */
export function ringOf(nodes: number): Edge[] {
  return Array.from({ length: nodes }, (_, i) => [i, (i + 1) % nodes] as const);
}

/** Each node and every other. */
export function meshOf(nodes: number): Edge[] {
  const edges: Edge[] = [];
  for (let a = 0; a < nodes; a++) for (let b = a + 1; b < nodes; b++) edges.push([a, b]);
  return edges;
}

/** A connected graph: a random tree and `extra` more cables, parallel ones among them. */
export function randomOf(nodes: number, extra: number, rng: Rng): Edge[] {
  const edges: Edge[] = [];
  for (let node = 1; node < nodes; node++) edges.push([rng.below(node), node]);
  if (nodes < 2) return edges;
  while (edges.length < nodes - 1 + extra) {
    const a = rng.below(nodes);
    const b = rng.below(nodes);
    if (a !== b) edges.push([a, b]);
  }
  return edges;
}
