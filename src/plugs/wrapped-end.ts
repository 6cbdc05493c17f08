/** What ends around an end have in common: they wait on its descriptors and say its name. */
import type { FramePool } from "../base/index.ts";
import type { CableEnd } from "./end.ts";

/** A subclass does something to the frames on their way; the inner end closes with the wrapper. */
export abstract class WrappedEnd implements CableEnd {
  readonly scheme: string;
  readonly description: string;
  readonly receiveFd: number;
  readonly sendFd: number;
  readonly hangUpFd?: number;
  readonly offload?: boolean;
  readonly inner: CableEnd;

  constructor(inner: CableEnd, offload = inner.offload) {
    this.inner = inner;
    this.scheme = inner.scheme;
    this.description = inner.description;
    this.receiveFd = inner.receiveFd;
    this.sendFd = inner.sendFd;
    if (offload !== undefined) this.offload = offload;
    if (inner.hangUpFd !== undefined) this.hangUpFd = inner.hangUpFd;
  }

  get hasBacklog(): boolean {
    return this.inner.hasBacklog === true;
  }

  receive(pool: FramePool, slots: Int32Array, count: number): number {
    return this.inner.receive(pool, slots, count);
  }

  abstract send(pool: FramePool, slots: Int32Array, from: number, count: number): number;

  close(): void {
    this.inner.close();
  }
}
