/**
 * Frames on their way from the packet thread to plugins: while somebody watches, the thread copies
 * them into a ring in shared memory, and the event loop takes them out a little later.
 */
import { type CaptureRecord, CaptureRing } from "./capture-ring.ts";

/** Room for copies that wait; a power of two. */
const RING_OCTETS = 1 << 23;
/** How often the ring is looked at. */
const ROUND_MS = 10;
/** More copies than the ring can hold. */
const RING_FRAMES_MAX = RING_OCTETS / 32;
/** Frames handed on before the event loop has its turn. */
const ROUND_FRAMES_MAX = 4096;

export interface PluginFramesOptions {
  /** Tells the packet thread where to copy frames to; null: no longer. */
  readonly watch: (memory: SharedArrayBuffer | null) => Promise<void>;
  /** Must not throw. */
  readonly seen: (record: CaptureRecord) => void;
}

/** The ring, while it is needed. */
export class PluginFrames {
  readonly #options: PluginFramesOptions;
  #ring: CaptureRing | undefined;
  #timer: NodeJS.Timeout | undefined;
  #droppedBefore = 0;

  constructor(options: PluginFramesOptions) {
    this.#options = options;
  }

  /** Copies that found the ring full. */
  get dropped(): number {
    return this.#droppedBefore + (this.#ring?.dropped ?? 0);
  }

  /** Resolves when the packet thread copies, or does so no more and all copies were seen. */
  async setOn(isOn: boolean): Promise<void> {
    const ring = this.#ring;
    if (isOn === (ring !== undefined)) return;
    if (isOn) {
      this.#ring = new CaptureRing(RING_OCTETS);
      this.#timer = setInterval(() => this.#drain(ROUND_FRAMES_MAX), ROUND_MS);
      await this.#options.watch(this.#ring.memory);
      return;
    }
    await this.#options.watch(null);
    this.drainAll();
    clearInterval(this.#timer);
    this.#droppedBefore += ring!.dropped;
    this.#ring = undefined;
  }

  /** Hands on all that was copied until now. */
  drainAll(): void {
    // Bounded: the packet thread goes on copying meanwhile.
    this.#drain(RING_FRAMES_MAX);
  }

  #drain(countMax: number): void {
    for (let count = 0; count < countMax; count++) {
      const record = this.#ring?.take();
      if (record === undefined) return;
      this.#options.seen(record);
    }
  }
}
