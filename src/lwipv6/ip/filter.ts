/**
 * The five places where a packet can be looked at and dropped, as netfilter has them. A hook sees
 * the packet in place; one that changes it keeps checksums right itself.
 */
import type { Packet } from "../packet.ts";

/** Before routing, for this host, through this host, from this host, before the link. */
export type HookPoint = "prerouting" | "input" | "forward" | "output" | "postrouting";

export type Verdict = "accept" | "drop";

/** @param packet offsets into the arena; valid during the call. */
export type Hook = (packet: Packet) => Verdict;

interface Entry {
  readonly hook: Hook;
  readonly priority: number;
}

/** Hooks by place, the smallest priority first. */
export class FilterHooks {
  readonly #entries: { readonly [point in HookPoint]: Entry[] } = {
    prerouting: [],
    input: [],
    forward: [],
    output: [],
    postrouting: [],
  };

  /** @returns removes the hook again. */
  add(point: HookPoint, priority: number, hook: Hook): () => void {
    const entries = this.#entries[point];
    const entry = { hook, priority };
    let at = 0;
    while (at < entries.length && entries[at]!.priority <= priority) at++;
    entries.splice(at, 0, entry);
    return () => {
      const now = entries.indexOf(entry);
      if (now >= 0) entries.splice(now, 1);
    };
  }

  has(point: HookPoint): boolean {
    return this.#entries[point].length > 0;
  }

  /** True when every hook accepts. */
  passes(point: HookPoint, packet: Packet): boolean {
    const entries = this.#entries[point];
    for (let i = 0; i < entries.length; i++) {
      if (entries[i]!.hook(packet) === "drop") return false;
    }
    return true;
  }
}
