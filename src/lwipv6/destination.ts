/**
 * The way to one address: what a transport asks for once and then uses for every packet, until the
 * routes or addresses change (RFC 4861 §5.1 destination cache; RFC 1122 §3.3.1.2).
 */
import { foldSum } from "../wire/index.ts";
import type { IpAddress } from "./address.ts";
import type { Interface } from "./interface.ts";
import type { TransportHandler } from "./packet.ts";

/** Where a packet goes next on a link; kept by the neighbour machine of the interface. */
export interface NextHop {
  readonly address: IpAddress;
}

/** One way; made by `IpSender.wayTo`. */
export class Destination {
  readonly source: IpAddress;
  readonly target: IpAddress;
  readonly interface: Interface;
  /** undefined: the link needs none (loopback, bare IP, a group). */
  readonly nextHop: NextHop | undefined;
  readonly isIpv4: boolean;
  /** The target is this host itself. */
  readonly isLocal: boolean;
  /** The target is a multicast group, or a broadcast address of IPv4. */
  readonly isGroup: boolean;
  /** Longest IP packet on the path, as known so far; changes while the way is used. */
  mtuOctets: number;
  /** Sum of both addresses: of the pseudo header all but protocol and length (RFC 1071). */
  readonly addressSum: number;
  /** Of the routes and addresses when it was made. */
  readonly generation: number;

  constructor(way: DestinationWay) {
    this.source = way.source;
    this.target = way.target;
    this.interface = way.interface;
    this.nextHop = way.nextHop;
    this.isIpv4 = way.target.isIpv4;
    this.isLocal = way.isLocal;
    this.isGroup = way.isGroup;
    this.mtuOctets = way.mtuOctets;
    this.generation = way.generation;
    this.addressSum = foldSum(sumOfAddress(way.source) + sumOfAddress(way.target));
  }
}

export interface DestinationWay {
  readonly source: IpAddress;
  readonly target: IpAddress;
  readonly interface: Interface;
  readonly nextHop: NextHop | undefined;
  readonly isLocal: boolean;
  readonly isGroup: boolean;
  readonly mtuOctets: number;
  readonly generation: number;
}

/** Sum of an address as a checksum sees it; of IPv4 the four octets only. */
export function sumOfAddress(address: IpAddress): number {
  const { w0, w1, w2, w3 } = address;
  const last = (w3 >>> 16) + (w3 & 0xffff);
  if (address.isIpv4) return last;
  return (
    last + (w0 >>> 16) + (w0 & 0xffff) + (w1 >>> 16) + (w1 & 0xffff) + (w2 >>> 16) + (w2 & 0xffff)
  );
}

/** How a packet goes out, besides its way. */
export interface SendOptions {
  /** 0 … 255; 0: it does not leave this host (RFC 1112 §6.1). */
  readonly hopLimit: number;
  /** Differentiated services and congestion notification: 8 bits. */
  readonly trafficClass: number;
  /** Never cut into fragments on the way; EMSGSIZE when it does not fit. */
  readonly dontFragment: boolean;
  /** 20 bits (RFC 6437), of `IpSender.flowLabel`; IPv6 only. */
  readonly flowLabel: number;
  /** This host gets a copy of what it sends to a group it is in, or to everybody. */
  readonly multicastLoop: boolean;
}

/** As most packets go out. */
export const USUAL_OPTIONS: SendOptions = {
  hopLimit: 64,
  trafficClass: 0,
  dontFragment: false,
  flowLabel: 0,
  multicastLoop: true,
};

/** The Internet layer, as transports see it. */
export interface IpSender {
  /** Changes whenever a Destination made earlier may be wrong. */
  readonly generation: number;
  /**
   * The way to `target`.
   * @param source a local address, or undefined: chosen by RFC 6724.
   * @param interfaceIndex 0: any; the scope of link-local and group addresses.
   * @returns errno as a negative number when there is none: -ENETUNREACH, -EADDRNOTAVAIL.
   */
  wayTo(
    target: IpAddress,
    source: IpAddress | undefined,
    interfaceIndex: number,
  ): Destination | number;
  /**
   * A free slot whose frame starts far enough behind its memory's start that all headers fit in
   * front of it; -1: none. `pool.start` is the first octet of the transport header.
   */
  takeSlot(): number;
  /**
   * Sends the transport header and data in `slot` (`pool.start`, `pool.length`), which is the IP
   * layer's from now on. `pool.offload` may leave the checksum, or the cutting of a super-segment,
   * to the link if `destination.interface.link.offload`.
   * @returns 0 or a negative errno: -EMSGSIZE, -EHOSTUNREACH.
   */
  send(slot: number, destination: Destination, protocol: number, options: SendOptions): number;
  /** A packet arrived over this way: the next hop is alive (RFC 4861 §7.3.1 upper-layer hint). */
  confirm(destination: Destination): void;
  /**
   * The label of a flow, which is the same for all its packets and tells nothing: a keyed hash of
   * both ends (RFC 6437 §3). 0 for IPv4.
   */
  flowLabel(destination: Destination, sourcePort: number, targetPort: number): number;
  /** Lets transports see what is for them. */
  setHandler(protocol: number, handler: TransportHandler): void;
}
