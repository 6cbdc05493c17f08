/**
 * An end as plain data, so that another thread can make it: descriptors belong to the whole
 * process, objects to one thread. A new kind is one line in the union and one in `openSource`.
 */
import { CLONE, unshare } from "../sys/index.ts";
import { type DatagramBatches, DatagramEnd } from "./datagram-end.ts";
import type { CableEnd } from "./end.ts";
import { attachNamespace, type NamespaceCableOptions } from "./namespace-cable.ts";
import { openEnd, parseVnl } from "./registry.ts";
import { StreamEnd } from "./stream-end.ts";

export type EndSource =
  /** A connected datagram socket. */
  | {
      readonly kind: "datagram";
      readonly fd: number;
      readonly description: string;
      /** A virtio-net header is in front of each frame, as agreed on with the peer. */
      readonly offload?: boolean;
    }
  /** Two octet streams, or one twice. */
  | {
      readonly kind: "stream";
      readonly readFd: number;
      readonly writeFd: number;
      readonly description: string;
    }
  /**
   * A new interface in a network namespace. The thread leaves its own network for good: the way
   * back would need capabilities outside its user namespace.
   */
  | { readonly kind: "namespace"; readonly options: NamespaceCableOptions }
  /** Whatever the registry opens under this name. */
  | { readonly kind: "vnl"; readonly vnl: string; readonly description?: string };

/** Schemes whose ends can carry unfinished frames, if their peer can. */
const OFFLOAD_SCHEMES: readonly string[] = ["vde", "tap"];

/** How an end is to be opened. */
export interface OpenSourceOptions {
  /** Headers shared by the ends of a thread. */
  readonly batches?: DatagramBatches;
  /** Whoever uses the end can carry unfinished frames; default false. */
  readonly offload?: boolean;
}

/** Whether the end may carry unfinished frames when it is opened with `offload`. */
export function canOffload(source: EndSource): boolean {
  if (source.kind === "datagram") return source.offload === true;
  if (source.kind === "vnl") return OFFLOAD_SCHEMES.includes(parseVnl(source.vnl).scheme);
  return source.kind === "namespace";
}

/**
 * Makes the end; it then owns the descriptors.
 * @throws V2Error when it cannot be opened.
 */
export function openSource(source: EndSource, options: OpenSourceOptions = {}): CableEnd {
  const { batches, offload = false } = options;
  switch (source.kind) {
    case "datagram": {
      const { fd, description, offload: isAgreed = false } = source;
      const shared = batches === undefined ? {} : { batches };
      return new DatagramEnd({ scheme: "vde", fd, description, offload: isAgreed, ...shared });
    }
    case "stream":
      return new StreamEnd(source);
    case "namespace":
      unshare(CLONE.NEWNET);
      return attachNamespace({ ...source.options, offload });
    case "vnl":
      break;
  }
  const { vnl, description } = source;
  return openEnd(vnl, { offload, ...(description === undefined ? {} : { description }) });
}
