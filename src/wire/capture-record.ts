/**
 * What a capture file holds, whatever its format: the common result of the pcapng and pcap readers.
 */
import type { CaptureDirection } from "./pcapng.ts";

export type CaptureRecord =
  | {
      readonly kind: "interface";
      /** 0, 1, … in the order of the file, across sections. */
      readonly id: number;
      readonly linkType: number;
      /** 0: frames are whole. */
      readonly snapOctets: number;
      readonly name?: string;
      readonly description?: string;
    }
  | {
      readonly kind: "frame";
      readonly interfaceId: number;
      /** Nanoseconds since 1970-01-01 UTC; absent where the file has none. */
      readonly timeNs?: bigint;
      /** A window on the file. */
      readonly octets: Uint8Array;
      /** Length on the wire. */
      readonly originalOctets: number;
      readonly direction?: CaptureDirection;
      readonly comments: readonly string[];
    }
  | {
      readonly kind: "statistics";
      readonly interfaceId: number;
      readonly received?: bigint;
      readonly dropped?: bigint;
    }
  /** The rest of the file cannot be read; always the last record. */
  | { readonly kind: "problem"; readonly at: number; readonly text: CaptureProblem };

export type CaptureProblem =
  | "not a capture"
  | "cut in the middle of a record"
  | "length of a record makes no sense"
  | "version not known"
  | "frame of an interface not described";
