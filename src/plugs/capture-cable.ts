/**
 * A capture that plugs into a switch like any cable and writes what reaches it. In a hub that is
 * everything; in a switch what goes to everybody and to unknown stations; in a port that others use
 * too, all that is sent to them.
 */
import { EXIT, parseMac, V2Error } from "../base/index.ts";
import { CaptureFile } from "./capture-file.ts";
import type { CaptureRecord } from "./capture-ring.ts";
import { PumpThread } from "./pump-thread.ts";

/** Which frames are written. */
export interface FrameFilter {
  /** Only frames from or to this address. */
  readonly host?: string;
  /** Only frames with this EtherType, or length, behind the addresses. */
  readonly etherType?: number;
  /** Ends after so many frames. */
  readonly countMax?: number;
}

export interface CaptureOptions extends FrameFilter {
  /** What to plug into: any VNL. */
  readonly vnl: string;
  /** Path of a file or FIFO to write pcapng to, or an open descriptor. */
  readonly target: string | number;
  /** Ends the capture; what was seen is written first. */
  readonly signal?: AbortSignal;
}

/** What became of the frames that a capture saw. */
export interface CaptureResult {
  readonly written: number;
  /** Not accepted by the filter, or beyond the count. */
  readonly filtered: number;
  /** Lost because they came faster than they could be written. */
  readonly dropped: number;
}

/**
 * Captures until the signal, the count, the end of the cable, or the reader of a FIFO leaves.
 * @param onStart called when frames are seen.
 * @throws V2Error when there is no such switch or the file cannot be written.
 */
export async function captureCable(
  options: CaptureOptions,
  onStart: () => void = () => undefined,
): Promise<CaptureResult> {
  const end = new AbortController();
  const stop = (): void => end.abort();
  const filter = new CaptureFilter(options, stop);
  const file = new CaptureFile(options.target, {
    accept: (record) => filter.accept(record),
    nameOf: () => options.vnl,
    onReaderGone: stop,
  });
  const pump = new PumpThread({
    left: { kind: "vnl", vnl: options.vnl, description: "v2 capture" },
    right: { kind: "vnl", vnl: "null://" },
    captureMemory: file.ring.memory,
  });
  const { signal } = options;
  end.signal.addEventListener("abort", () => void pump.stop().catch(() => undefined));
  signal?.addEventListener("abort", stop);
  if (signal?.aborted === true) stop();
  try {
    await pump.joined;
    onStart();
    await pump.ended;
  } finally {
    signal?.removeEventListener("abort", stop);
    await file.close();
  }
  return { written: file.written, filtered: filter.refused, dropped: file.ring.dropped };
}

/** Decides which frames are written. */
export class CaptureFilter {
  /** Frames that were not. */
  refused = 0;
  readonly #host: Uint8Array | undefined;
  readonly #etherType: number | undefined;
  readonly #onFull: () => void;
  #left: number;

  /** @param onFull called when the wanted number was written. */
  constructor({ host, etherType, countMax }: FrameFilter, onFull: () => void) {
    this.#host = host === undefined ? undefined : parseMac(host);
    if (host !== undefined && this.#host === undefined) {
      throw new V2Error("BAD_ADDRESS", `'${host}' is no MAC address`, {
        remedy: "write it as 02:00:00:00:00:01",
        exitCode: EXIT.usage,
      });
    }
    this.#etherType = etherType;
    this.#left = countMax ?? Number.POSITIVE_INFINITY;
    this.#onFull = onFull;
  }

  /** Whether this frame is to be written; counts. */
  accept({ octets }: Pick<CaptureRecord, "octets">): boolean {
    const isWanted =
      this.#left > 0 &&
      (this.#host === undefined || isAt(octets, 0, this.#host) || isAt(octets, 6, this.#host)) &&
      (this.#etherType === undefined || this.#etherType === octets[12]! * 256 + octets[13]!);
    if (!isWanted) this.refused++;
    else if (--this.#left === 0) this.#onFull();
    return isWanted;
  }
}

function isAt(octets: Uint8Array, offset: number, wanted: Uint8Array): boolean {
  return wanted.every((octet, i) => octets[offset + i] === octet);
}
