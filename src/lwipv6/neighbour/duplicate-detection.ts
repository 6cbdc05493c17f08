/**
 * Is an address somebody else's already? RFC 4862 §5.4 with the nonces of RFC 7527, and for IPv4
 * RFC 5227 §2.1.
 */
import { equalOctets } from "../../base/index.ts";
import type { AddressBook, InterfaceAddress } from "../addresses.ts";
import type { StackCore } from "../core.ts";
import type { Interface } from "../interface.ts";
import { Timer } from "../timer-wheel.ts";

/** RFC 4862 §5.1: DupAddrDetectTransmits; RFC 4861 §10: RETRANS_TIMER. */
const TRANSMITS = 1;
const RETRANSMIT_MS = 1000;
/** RFC 4861 §10: MAX_RTR_SOLICITATION_DELAY: a random wait before the first message. */
const DELAY_MAX_MS = 1000;
/** RFC 5227 §1.1. */
const PROBES_4 = 3;
const PROBE_WAIT_4_MS = 1000;
const PROBE_MIN_4_MS = 1000;
const PROBE_SPREAD_4_MS = 1000;
const ANNOUNCE_WAIT_4_MS = 2000;

/** What the detection does and finds. */
export interface DetectionActions {
  /** Asks for an IPv6 address. @param nonce an option that tells our own question from others'. */
  solicit(entry: InterfaceAddress, nonce: Uint8Array): void;
  probe4(entry: InterfaceAddress): void;
  unique(entry: InterfaceAddress): void;
  duplicate(entry: InterfaceAddress): void;
}

interface Run {
  readonly timer: Timer;
  sent: number;
  nonce: Uint8Array | undefined;
}

export class DuplicateDetection {
  readonly #core: StackCore;
  readonly #addresses: AddressBook;
  readonly #actions: DetectionActions;
  readonly #runs = new Map<InterfaceAddress, Run>();

  constructor(core: StackCore, addresses: AddressBook, actions: DetectionActions) {
    this.#core = core;
    this.#addresses = addresses;
    this.#actions = actions;
  }

  begin(entry: InterfaceAddress): void {
    if (this.#runs.has(entry)) return;
    const run: Run = { timer: new Timer(() => this.#step(entry, run)), sent: 0, nonce: undefined };
    this.#runs.set(entry, run);
    const most = entry.address.isIpv4 ? PROBE_WAIT_4_MS : DELAY_MAX_MS;
    this.#core.timers.set(run.timer, this.#core.nowMs + this.#core.random.unit() * most);
  }

  end(entry: InterfaceAddress): void {
    const run = this.#runs.get(entry);
    if (run !== undefined) this.#core.timers.cancel(run.timer);
    this.#runs.delete(entry);
  }

  interfaceDown(owner: Interface): void {
    for (const entry of this.#runs.keys()) if (entry.interface === owner) this.end(entry);
  }

  /** Somebody else asks for an address that we ask for. */
  heard(entry: InterfaceAddress, nonce: Uint8Array | undefined): void {
    const run = this.#runs.get(entry);
    if (run === undefined) return;
    // RFC 7527: our own question came back over a loop of the link.
    if (nonce !== undefined && run.nonce !== undefined && equalOctets(nonce, run.nonce)) {
      this.#core.counters.count("nd.own-question");
      return;
    }
    this.duplicate(entry);
  }

  /** Somebody else has the address. */
  duplicate(entry: InterfaceAddress): void {
    this.end(entry);
    entry.state = "duplicated";
    this.#core.counters.count("nd.duplicate");
    this.#addresses.changed(entry);
    this.#actions.duplicate(entry);
  }

  #step(entry: InterfaceAddress, run: Run): void {
    const { isIpv4 } = entry.address;
    const { timers, random, nowMs } = this.#core;
    if (run.sent === (isIpv4 ? PROBES_4 : TRANSMITS)) {
      this.#runs.delete(entry);
      entry.state = "preferred";
      this.#addresses.changed(entry);
      this.#actions.unique(entry);
      return;
    }
    run.sent++;
    if (isIpv4) {
      this.#actions.probe4(entry);
      const waitMs =
        run.sent === PROBES_4
          ? ANNOUNCE_WAIT_4_MS
          : PROBE_MIN_4_MS + random.unit() * PROBE_SPREAD_4_MS;
      timers.set(run.timer, nowMs + waitMs);
      return;
    }
    run.nonce = this.#nonce();
    this.#actions.solicit(entry, run.nonce);
    timers.set(run.timer, nowMs + RETRANSMIT_MS);
  }

  /** A whole option: type, length in units of 8, six random octets. */
  #nonce(): Uint8Array {
    const option = Uint8Array.of(14, 1, 0, 0, 0, 0, 0, 0);
    for (let i = 2; i < 8; i++) option[i] = this.#core.random.below(256);
    return option;
  }
}
