/**
 * Writes what captures see as pcapng, to a file or to a FIFO. A FIFO has a reader or not: without
 * one frames are thrown away, each new reader gets a capture from its beginning. Runs on the event
 * loop of a thread that carries no frames.
 */
import { V2Error } from "../base/index.ts";
import { PcapngWriter } from "../wire/index.ts";
import { type CaptureRecord, CaptureRing } from "./capture-ring.ts";
import { closeTarget, FIFO_LAST_MS, isFifo, openToWrite, writeOctets } from "./fifo.ts";

/** How often the ring is looked at. */
const ROUND_MS = 10;
/** Octets written at once at most; the ring holds the rest. */
const CHUNK_OCTETS = 1 << 20;

export interface CaptureFileOptions {
  /** Whether a frame is written; all are when it is left out. */
  readonly accept?: (record: CaptureRecord) => boolean;
  /** Name of a port's interface in the capture ("port N"). */
  readonly nameOf?: (port: number) => string;
  /** A FIFO: nothing is written after its first reader left, or when there is none now. */
  readonly isForOneReader?: boolean;
  /** Told when nothing more can be written: the reader of a FIFO has gone, the disk is full. */
  readonly onReaderGone?: () => void;
}

/** A capture being written; `ring` is what the carrying thread fills. */
export class CaptureFile {
  readonly ring = new CaptureRing();
  /** Frames written, and frames lost because nobody read the FIFO or the file took no more. */
  written = 0;
  unread = 0;
  /** Frames among `written` that write(2) has not taken yet. */
  #waiting = 0;
  /** The one reader has been. */
  #isOver = false;
  /** A path, or a descriptor that is open already. */
  readonly #target: string | number;
  readonly #options: CaptureFileOptions;
  readonly #isFifo: boolean;
  #fd = -1;
  #writer: PcapngWriter | undefined;
  /** By port: the interface in the capture. */
  #interfaces = new Map<number, number>();
  /** Blocks not yet given to write(2). */
  #blocks: Uint8Array[] = [];
  #blockOctets = 0;
  #isClosing = false;
  readonly #done: Promise<void>;

  /**
   * @param target path of a file or FIFO, or a descriptor to write to, which it then owns.
   * @throws V2Error when the file cannot be written.
   */
  constructor(target: string | number, options: CaptureFileOptions = {}) {
    this.#target = target;
    this.#options = options;
    this.#isFifo = isFifo(target);
    if (!this.#isFifo) this.#open();
    this.#done = this.#run();
  }

  /** Where it is written to, as it was given. */
  get path(): string {
    return String(this.#target);
  }

  /** The one reader that it was for has left. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Writes what was seen until now, and how much was dropped; idempotent. */
  async close(): Promise<void> {
    this.#isClosing = true;
    await this.#done;
  }

  async #run(): Promise<void> {
    for (;;) {
      const isLast = this.#isClosing;
      if (this.#fd === -1 && !isLast) this.#awaitReader();
      this.#drain();
      if (isLast) this.#summarize();
      if (this.#blocks.length > 0) await this.#flush(isLast);
      if (isLast) break;
      if (this.#blockOctets < CHUNK_OCTETS) {
        await new Promise((resolve) => setTimeout(resolve, ROUND_MS));
      }
    }
    if (this.#fd !== -1) closeTarget(this.#fd);
  }

  /** Opens a FIFO if somebody reads it; what came before is not for them. */
  #awaitReader(): void {
    if (!this.#isFifo || this.#isOver) {
      this.#forget();
      return;
    }
    try {
      this.#open();
    } catch (error) {
      if (!(error instanceof V2Error)) throw error;
    }
    if (this.#fd !== -1) return;
    this.#forget();
    this.#readerLeft();
  }

  #forget(): void {
    while (this.ring.take() !== undefined) this.unread++;
  }

  #open(): void {
    this.#fd = openToWrite(this.#target, this.#isFifo);
    if (this.#fd === -1) return;
    this.#interfaces = new Map();
    this.#blocks = [];
    this.#blockOctets = 0;
    this.#writer = new PcapngWriter(
      (block) => {
        this.#blocks.push(block.slice());
        this.#blockOctets += block.length;
      },
      { application: "Virtual Square" },
    );
  }

  /** Turns frames of the ring into blocks, a chunk at most. */
  #drain(): void {
    if (this.#fd === -1) return;
    while (this.#blockOctets < CHUNK_OCTETS || this.#isClosing) {
      const record = this.ring.take();
      if (record === undefined) return;
      if (this.#options.accept?.(record) !== false) this.#writeRecord(record);
    }
  }

  #writeRecord({ port, direction, timeMs, octets }: CaptureRecord): void {
    let interfaceId = this.#interfaces.get(port);
    if (interfaceId === undefined) {
      interfaceId = this.#writer!.addInterface({
        name: this.#options.nameOf?.(port) ?? `port ${port}`,
      });
      this.#interfaces.set(port, interfaceId);
    }
    const timeNs = BigInt(Math.round(timeMs * 1000)) * 1000n;
    this.#writer!.writeFrame({ interfaceId, timeNs, octets, direction });
    this.written++;
    this.#waiting++;
  }

  #summarize(): void {
    const [interfaceId] = this.#interfaces.values();
    if (this.#fd === -1 || interfaceId === undefined) return;
    this.#writer!.writeStatistics({
      interfaceId,
      timeNs: BigInt(Date.now()) * 1_000_000n,
      received: BigInt(this.written + this.ring.dropped),
      dropped: BigInt(this.ring.dropped),
    });
  }

  /** Writes the blocks; a reader that is slow gets the rest in the next round, or at the end. */
  async #flush(isLast: boolean): Promise<void> {
    const lastMs = performance.now() + (isLast ? FIFO_LAST_MS : 0);
    const isWaiting = (): boolean => performance.now() < lastMs;
    const left = await writeOctets(this.#fd, Buffer.concat(this.#blocks), isWaiting);
    // The reader left, or the disk is full: a FIFO waits for the next reader.
    if (left === undefined) this.#lose();
    const octets = left ?? new Uint8Array(0);
    if (octets.length === 0) this.#waiting = 0;
    else if (isLast) this.#loseWaiting();
    this.#blocks = octets.length > 0 && !isLast ? [octets] : [];
    this.#blockOctets = this.#blocks.length > 0 ? octets.length : 0;
  }

  /** What was about to be written is lost; some of it may have reached the reader. */
  #loseWaiting(): void {
    this.written -= this.#waiting;
    this.unread += this.#waiting;
    this.#waiting = 0;
  }

  #lose(): void {
    closeTarget(this.#fd);
    this.#fd = -1;
    this.#writer = undefined;
    this.#loseWaiting();
    if (this.#options.isForOneReader === true) this.#readerLeft();
    else this.#options.onReaderGone?.();
  }

  #readerLeft(): void {
    if (this.#options.isForOneReader !== true || this.#isOver) return;
    this.#isOver = true;
    this.#options.onReaderGone?.();
  }
}
