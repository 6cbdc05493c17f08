/**
 * The path calls of a thread that serves views. It answers them from one place, the ground of the
 * first view: whoever has another root, another view inside it included, is met there.
 */
import { ERRNO } from "../../base/index.ts";
import {
  CLONE,
  closeDescriptor,
  type CallRequest,
  type Standpoint,
  tryNamespace,
} from "../../sys/index.ts";
import { DenyRules, type PathPolicy, trapsOf } from "../../viewos/index.ts";
import type { Answer } from "../calls/answer.ts";
import type { CapturedPathCall } from "../calls/captured-call.ts";
import type { Ground, Grounds } from "../calls/grounds.ts";
import { PathCalls } from "./path-calls.ts";
import type { PathTraps } from "./path-traps.ts";
import type { Relief } from "../calls/relief.ts";
import type { DeputyCall } from "../calls/deputies.ts";

/** The policy of a view; undefined: all is as the kernel has it. */
export function policyOf(traps: PathTraps): PathPolicy | undefined {
  if (traps.deny.length === 0) return undefined;
  return new DenyRules(traps.deny.map((path) => ({ path, errno: ERRNO.EACCES })));
}

export class PathService {
  /** A policy is asked about every file. */
  readonly decides: boolean;
  readonly #standpoint: Standpoint;
  readonly #grounds: Grounds;
  readonly #traps: PathTraps;
  readonly #relief: Relief;
  #home: Ground | undefined;
  #calls: PathCalls | undefined;
  #depute: ((call: DeputyCall) => void) | undefined;

  constructor(standpoint: Standpoint, grounds: Grounds, traps: PathTraps, relief: Relief) {
    this.#standpoint = standpoint;
    this.#grounds = grounds;
    this.#traps = traps;
    this.#relief = relief;
    this.decides = traps.deny.length > 0;
  }

  /**
   * A view has been entered; nothing happens but for the first.
   * @param first its first process; undefined when others may have come before
   */
  enter(ground: Ground, pid: number, first: number | undefined): void {
    if (this.#home !== undefined) return;
    this.#home = ground;
    this.#joinNetworkOf(pid);
    this.#grounds.stand(ground);
    const { calls } = this.#traps;
    const policy = policyOf(this.#traps);
    this.#calls = new PathCalls(this.#standpoint, trapsOf(calls), policy, this.#relief, first);
    if (this.#depute !== undefined) this.#calls.leaveWaiting(this.#depute);
  }

  /** See PathCalls. */
  leaveWaiting(depute: (call: DeputyCall) => void): void {
    this.#depute = depute;
    this.#calls?.leaveWaiting(depute);
  }

  /** Copies a call; undefined when it is none to be answered here. */
  capture(request: CallRequest): CapturedPathCall | undefined {
    return this.#calls?.capture(request);
  }

  /** Performs a captured call. */
  perform(request: CallRequest, call: CapturedPathCall): Answer {
    if (!this.#grounds.isOn(this.#home!)) {
      this.rest();
      this.#grounds.stand(this.#home!);
    }
    return this.#calls!.perform(request, call);
  }

  /** Our thread has all its rights again: before it does anything but a path call. */
  rest(): void {
    this.#calls?.rest();
  }

  /** Nothing of the view is kept busy. */
  forget(): void {
    this.#calls?.forget();
  }

  /** After that time without calls comes `forget`; -1: never. */
  get forgetAfterMs(): number {
    return this.#calls?.forgetAfterMs ?? -1;
  }

  /**
   * Our thread goes to the network of a guest, so that what it opens of /proc/sys/net and /dev/net
   * belongs there. Where the view has no network of its own there is nowhere to go.
   */
  #joinNetworkOf(pid: number): void {
    const network = this.#standpoint.openProc(`${pid}/ns/net`);
    if (network === -1) return;
    tryNamespace(network, CLONE.NEWNET);
    closeDescriptor(network);
  }
}
