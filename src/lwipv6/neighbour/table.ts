/**
 * The neighbour machine, one for both families: address resolution and neighbour unreachability
 * detection, RFC 4861 §7.2 and §7.3 with the patience of RFC 7048; ARP entries go through the same
 * states. How a neighbour is asked is the solicitor's (arp.ts, solicitation.ts).
 */
import type { MacAddress } from "../../base/index.ts";
import { ETHERNET_HEADER_OCTETS } from "../../wire/index.ts";
import type { IpAddress } from "../address.ts";
import type { StackCore } from "../core.ts";
import type { Interface } from "../interface.ts";
import { Timer } from "../timer-wheel.ts";
import { Neighbour } from "./neighbour.ts";

/** RFC 4861 §10. */
const MAX_MULTICAST_SOLICIT = 3;
const MAX_UNICAST_SOLICIT = 3;
const DELAY_FIRST_PROBE_MS = 5000;
const REACHABLE_MS = 30_000;
const RETRANSMIT_MS = 1000;
/** RFC 7048 §3: probes go on, but ever more rarely. */
const BACKOFF_MAX_MS = 60_000;
/** RFC 4861 §6.3.2: a base of reachable time is spread from half to one and a half of it. */
const SPREAD_MIN = 0.5;

/** Asks for a neighbour. */
export interface Solicitor {
  /** @param isUnicast to the card that is known; else to all who may have the address. */
  solicit(neighbour: Neighbour, isUnicast: boolean): void;
}

/** What an answer or another message says about a neighbour (RFC 4861 §7.2.5). */
export interface NeighbourNews {
  readonly mac: MacAddress | undefined;
  /** An answer to a question of ours. */
  readonly isSolicited: boolean;
  /** The new address replaces the known one. */
  readonly isOverride: boolean;
  /** undefined: the message does not say. */
  readonly isRouter?: boolean;
}

/** Per-interface times, which router advertisements may set. */
export interface NeighbourTimes {
  reachableMs: number;
  retransmitMs: number;
}

/** All neighbours of a stack. */
export class NeighbourTable {
  /** Changes when an entry that may be held goes. */
  generation = 0;
  /** A packet that waited cannot be delivered; the slot is the callee's. */
  onUndeliverable: ((slot: number, neighbour: Neighbour) => void) | undefined;
  /** A neighbour that was known as a router does not answer any more, or is none any more. */
  onRouterLost: ((neighbour: Neighbour) => void) | undefined;
  readonly #core: StackCore;
  readonly #solicitors: { readonly v4: Solicitor; readonly v6: Solicitor };
  readonly #entries = new Map<string, Neighbour>();
  readonly #times = new Map<Interface, NeighbourTimes>();

  constructor(core: StackCore, v4: Solicitor, v6: Solicitor) {
    this.#core = core;
    this.#solicitors = { v4, v6 };
  }

  get all(): readonly Neighbour[] {
    return [...this.#entries.values()];
  }

  /** How long an interface's neighbours are believed, and how long answers are waited for. */
  timesOf(owner: Interface): NeighbourTimes {
    let times = this.#times.get(owner);
    if (times === undefined) {
      times = { reachableMs: this.spread(REACHABLE_MS), retransmitMs: RETRANSMIT_MS };
      this.#times.set(owner, times);
    }
    return times;
  }

  /** A random time around a base (RFC 4861 §6.3.2). */
  spread(baseMs: number): number {
    return baseMs * (SPREAD_MIN + this.#core.random.unit());
  }

  find(address: IpAddress, owner: Interface): Neighbour | undefined {
    return this.#entries.get(keyOf(address, owner));
  }

  /** The neighbour with this address, known or not yet. */
  obtain(address: IpAddress, owner: Interface): Neighbour {
    const key = keyOf(address, owner);
    const known = this.#entries.get(key);
    if (known !== undefined) return known;
    if (this.#entries.size >= this.#core.limits.neighbours) this.#evict();
    const neighbour: Neighbour = new Neighbour(
      address,
      owner,
      new Timer(() => this.#expire(neighbour)),
    );
    neighbour.usedMs = this.#core.nowMs;
    this.#entries.set(key, neighbour);
    return neighbour;
  }

  /** Sends the IP packet in `slot` to a neighbour, now or when its card is known. */
  send(slot: number, neighbour: Neighbour): void {
    const { nowMs } = this.#core;
    neighbour.usedMs = nowMs;
    if (neighbour.isGone) {
      // The way will be asked for again with the next packet.
      this.send(slot, this.obtain(neighbour.address, neighbour.interface));
      return;
    }
    switch (neighbour.state) {
      case "incomplete":
        this.#wait(slot, neighbour);
        return;
      case "reachable":
        if (nowMs - neighbour.confirmedMs <= this.timesOf(neighbour.interface).reachableMs) break;
        this.#delay(neighbour);
        break;
      case "stale":
        this.#delay(neighbour);
        break;
      default:
        break;
    }
    this.#emit(slot, neighbour);
  }

  /** It answers: a transport saw progress (RFC 4861 §7.3.1). */
  confirm(neighbour: Neighbour): void {
    neighbour.confirmedMs = this.#core.nowMs;
    if (neighbour.state === "reachable" || neighbour.state === "incomplete") return;
    if (neighbour.state === "permanent") return;
    this.#core.timers.cancel(neighbour.timer);
    neighbour.state = "reachable";
    neighbour.probes = 0;
  }

  /** A message about a neighbour that is in the table (RFC 4861 §7.2.5). */
  learn(neighbour: Neighbour, news: NeighbourNews): void {
    if (neighbour.state === "permanent") return;
    const { mac } = news;
    if (neighbour.state === "incomplete") {
      if (mac === undefined) return;
      this.#setMac(neighbour, mac);
      this.#noteRouter(neighbour, news);
      this.#settle(neighbour, news.isSolicited);
      this.#sendWaiting(neighbour);
      return;
    }
    const isOther = mac !== undefined && !neighbour.hasMac(mac);
    if (isOther && !news.isOverride) {
      if (neighbour.state === "reachable") neighbour.state = "stale";
      return;
    }
    if (isOther) this.#setMac(neighbour, mac);
    this.#noteRouter(neighbour, news);
    if (news.isSolicited) this.#settle(neighbour, true);
    else if (isOther) this.#settle(neighbour, false);
  }

  /**
   * Somebody who talks to us says who it is (RFC 4861 §7.2.3, RFC 826): makes an entry if need be,
   * which is stale.
   */
  hear(address: IpAddress, owner: Interface, mac: MacAddress, isRouter?: boolean): Neighbour {
    const neighbour = this.obtain(address, owner);
    const news = { mac, isSolicited: false, isOverride: true };
    this.learn(neighbour, isRouter === undefined ? news : { ...news, isRouter });
    return neighbour;
  }

  /** Sets an entry by hand, which then stays. */
  setPermanent(address: IpAddress, owner: Interface, mac: MacAddress): void {
    const neighbour = this.obtain(address, owner);
    this.#core.timers.cancel(neighbour.timer);
    this.#setMac(neighbour, mac);
    neighbour.state = "permanent";
    this.#sendWaiting(neighbour);
  }

  /** @param isSilent packets that wait for it are dropped without a word about them. */
  remove(neighbour: Neighbour, isSilent = false): void {
    if (neighbour.isGone) return;
    this.#core.timers.cancel(neighbour.timer);
    neighbour.isGone = true;
    this.generation++;
    this.#entries.delete(keyOf(neighbour.address, neighbour.interface));
    this.#giveUpWaiting(neighbour, isSilent);
  }

  /** Forgets all neighbours of an interface. */
  clear(owner: Interface): void {
    for (const neighbour of this.all) if (neighbour.interface === owner) this.remove(neighbour);
  }

  #wait(slot: number, neighbour: Neighbour): void {
    const { waiting } = neighbour;
    // RFC 4861 §7.2.2: when it overflows, the new packet replaces the oldest.
    if (waiting.length >= this.#core.limits.packetsPerNeighbour) {
      this.#core.counters.count("neighbour.queue-overflow");
      this.#core.pool.release(waiting.shift()!);
    }
    waiting.push(slot);
    if (!neighbour.timer.isSet) this.#ask(neighbour);
  }

  /** The next question, and when to look again. */
  #ask(neighbour: Neighbour): void {
    const { retransmitMs } = this.timesOf(neighbour.interface);
    neighbour.probes++;
    const isUnicast = neighbour.state === "probe";
    const waitMs =
      neighbour.state === "unreachable"
        ? Math.min(BACKOFF_MAX_MS, retransmitMs * 2 ** (neighbour.probes - 1))
        : retransmitMs;
    this.#core.timers.set(neighbour.timer, this.#core.nowMs + waitMs);
    const { v4, v6 } = this.#solicitors;
    (neighbour.address.isIpv4 ? v4 : v6).solicit(neighbour, isUnicast);
  }

  #delay(neighbour: Neighbour): void {
    neighbour.state = "delay";
    this.#core.timers.set(neighbour.timer, this.#core.nowMs + DELAY_FIRST_PROBE_MS);
  }

  #expire(neighbour: Neighbour): void {
    switch (neighbour.state) {
      case "incomplete":
        if (neighbour.probes < MAX_MULTICAST_SOLICIT) this.#ask(neighbour);
        else {
          this.#core.counters.count("neighbour.no-answer");
          this.remove(neighbour);
        }
        break;
      case "delay":
        neighbour.state = "probe";
        neighbour.probes = 0;
        this.#ask(neighbour);
        break;
      case "probe":
        if (neighbour.probes < MAX_UNICAST_SOLICIT) {
          this.#ask(neighbour);
          break;
        }
        // RFC 7048: whoever still sends goes on with the card that is known, and all are asked.
        neighbour.state = "unreachable";
        neighbour.probes = 0;
        this.generation++;
        if (neighbour.isRouter) this.onRouterLost?.(neighbour);
        this.#askOrForget(neighbour);
        break;
      case "unreachable":
        this.#askOrForget(neighbour);
        break;
      default:
        break;
    }
  }

  /** Nobody has sent to it since the last question: it is not worth another. */
  #askOrForget(neighbour: Neighbour): void {
    if (this.#core.nowMs - neighbour.usedMs > BACKOFF_MAX_MS) this.remove(neighbour);
    else this.#ask(neighbour);
  }

  #settle(neighbour: Neighbour, isConfirmed: boolean): void {
    this.#core.timers.cancel(neighbour.timer);
    neighbour.probes = 0;
    neighbour.state = isConfirmed ? "reachable" : "stale";
    if (isConfirmed) neighbour.confirmedMs = this.#core.nowMs;
  }

  #setMac(neighbour: Neighbour, mac: MacAddress): void {
    neighbour.header.set(mac, 0);
  }

  #noteRouter(neighbour: Neighbour, news: NeighbourNews): void {
    if (news.isRouter === undefined || neighbour.isRouter === news.isRouter) return;
    neighbour.isRouter = news.isRouter;
    if (!news.isRouter) this.onRouterLost?.(neighbour);
  }

  #sendWaiting(neighbour: Neighbour): void {
    for (const slot of neighbour.waiting.splice(0)) this.send(slot, neighbour);
  }

  #giveUpWaiting(neighbour: Neighbour, isSilent: boolean): void {
    for (const slot of neighbour.waiting.splice(0)) {
      if (isSilent || this.onUndeliverable === undefined) this.#core.pool.release(slot);
      else this.onUndeliverable(slot, neighbour);
    }
  }

  #emit(slot: number, neighbour: Neighbour): void {
    const { pool } = this.#core;
    const at = pool.start[slot]! - ETHERNET_HEADER_OCTETS;
    const { octets } = pool;
    const { header } = neighbour;
    for (let i = 0; i < ETHERNET_HEADER_OCTETS; i++) octets[at + i] = header[i]!;
    pool.start[slot] = at;
    pool.length[slot]! += ETHERNET_HEADER_OCTETS;
    neighbour.interface.transmit(slot);
  }

  /** Makes room: what has not been used for longest goes, unfinished questions first. */
  #evict(): void {
    let oldest: Neighbour | undefined;
    for (const entry of this.#entries.values()) {
      if (entry.state === "permanent") continue;
      if (oldest === undefined || isLessWorth(entry, oldest)) oldest = entry;
    }
    this.#core.counters.count("neighbour.evicted");
    // An error about it would need a neighbour itself, and so evict the next one.
    if (oldest !== undefined) this.remove(oldest, true);
  }
}

function isLessWorth(a: Neighbour, b: Neighbour): boolean {
  const isOpen = (entry: Neighbour): boolean => entry.state === "incomplete";
  if (isOpen(a) !== isOpen(b)) return isOpen(a);
  return a.usedMs < b.usedMs;
}

function keyOf(address: IpAddress, owner: Interface): string {
  return `${owner.index} ${address.toString()}`;
}
