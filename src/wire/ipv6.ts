/**
 * Internet Protocol version 6, RFC 8200, with its chain of extension headers. Offsets from the
 * start of the packet. Jumbograms (RFC 2675) are not known: Ethernet frames never hold one.
 */
import { copyOctets, readU16, readU32, V2Error, writeU16, writeU32 } from "../base/index.ts";
import { IPV6_OCTETS, type Ipv6Address, printIpv6 } from "../base/index.ts";
import { IP_PROTOCOL, type WireProblem } from "./ip-protocol.ts";
import { emitAddress, requireField, requireRoom } from "./room.ts";

export const IPV6_AT = {
  versionClassFlow: 0,
  payloadLength: 4,
  nextHeader: 6,
  hopLimit: 7,
  source: 8,
  target: 24,
  payload: 40,
} as const;

export const IPV6_HEADER_OCTETS = 40;
/** A longer chain is refused: no sender needs one (RFC 8504 §5.3), and walking it costs time. */
export const IPV6_EXTENSION_HEADERS_MAX = 16;

const FRAGMENT_HEADER_OCTETS = 8;
const FRAGMENT_AT = { offset: 2, identification: 4 } as const;

/**
 * Where a walk along the extension headers ended; one object is used again and again, so that a
 * walk allocates nothing.
 */
export class Ipv6Walk {
  /** The protocol after the last extension header that could be walked. */
  protocol: number = IP_PROTOCOL.none;
  /** Offset of that protocol's first octet, in the same array. */
  at = 0;
  headerCount = 0;
  /** A fragment header was met; the next three fields are then its own, else 0 and false. */
  isFragment = false;
  fragmentOffsetOctets = 0;
  hasMoreFragments = false;
  fragmentIdentification = 0;
  /** The chain ends inside the packet and is not too long. */
  isWhole = true;

  /**
   * Walks from the header `protocol` at `octets[at]` up to `end`. Behind a fragment that is not the
   * first there are no headers, only data: the walk stops there.
   */
  walk(octets: Uint8Array, protocol: number, at: number, end: number): void {
    this.protocol = protocol;
    this.at = at;
    this.headerCount = 0;
    this.isFragment = false;
    this.fragmentOffsetOctets = 0;
    this.hasMoreFragments = false;
    this.fragmentIdentification = 0;
    this.isWhole = true;
    while (isExtensionHeader(this.protocol) && this.fragmentOffsetOctets === 0) {
      const lengthOctets = extensionOctets(octets, this.protocol, this.at, end);
      if (lengthOctets === 0 || this.headerCount === IPV6_EXTENSION_HEADERS_MAX) {
        this.isWhole = false;
        return;
      }
      if (this.protocol === IP_PROTOCOL.fragment) this.#meetFragment(octets);
      this.protocol = octets[this.at]!;
      this.at += lengthOctets;
      this.headerCount++;
    }
  }

  #meetFragment(octets: Uint8Array): void {
    const field = readU16(octets, this.at + FRAGMENT_AT.offset);
    this.isFragment = true;
    this.fragmentOffsetOctets = field & 0xfff8;
    this.hasMoreFragments = (field & 1) !== 0;
    this.fragmentIdentification = readU32(octets, this.at + FRAGMENT_AT.identification);
  }
}

/** The headers RFC 8200 §4 and its registry call extension headers and that can be stepped over. */
export function isExtensionHeader(protocol: number): boolean {
  switch (protocol) {
    case IP_PROTOCOL.hopByHop:
    case IP_PROTOCOL.routing:
    case IP_PROTOCOL.fragment:
    case IP_PROTOCOL.authentication:
    case IP_PROTOCOL.targetOptions:
    case IP_PROTOCOL.mobility:
    case IP_PROTOCOL.hostIdentity:
    case IP_PROTOCOL.shim6:
      return true;
    default:
      return false;
  }
}

/** Length of the extension header at `at`; 0: it does not end before `end`. */
function extensionOctets(octets: Uint8Array, protocol: number, at: number, end: number): number {
  if (at + 8 > end) return 0;
  const length = octets[at + 1]!;
  let lengthOctets = 8 + 8 * length;
  if (protocol === IP_PROTOCOL.fragment) lengthOctets = FRAGMENT_HEADER_OCTETS;
  // RFC 4302 §2.2: the authentication header counts words of four octets, minus two.
  if (protocol === IP_PROTOCOL.authentication) lengthOctets = Math.max(8, 4 * (length + 2));
  return at + lengthOctets > end ? 0 : lengthOctets;
}

/** A packet as it lies in memory. */
export class Ipv6View {
  readonly octets: Uint8Array;

  private constructor(octets: Uint8Array) {
    this.octets = octets;
  }

  /** undefined: shorter than 40 octets. */
  static over(octets: Uint8Array): Ipv6View | undefined {
    return octets.length < IPV6_HEADER_OCTETS ? undefined : new Ipv6View(octets);
  }

  get version(): number {
    return this.octets[IPV6_AT.versionClassFlow]! >>> 4;
  }
  get trafficClass(): number {
    return (readU16(this.octets, IPV6_AT.versionClassFlow) >>> 4) & 0xff;
  }
  /** 20 bits, RFC 6437. */
  get flowLabel(): number {
    return readU32(this.octets, IPV6_AT.versionClassFlow) & 0xf_ffff;
  }
  /** As the packet says: extension headers and what they carry. */
  get payloadLengthOctets(): number {
    return readU16(this.octets, IPV6_AT.payloadLength);
  }
  get nextHeader(): number {
    return this.octets[IPV6_AT.nextHeader]!;
  }
  get hopLimit(): number {
    return this.octets[IPV6_AT.hopLimit]!;
  }
  /** A window, not a copy. */
  get source(): Ipv6Address {
    return this.octets.subarray(IPV6_AT.source, IPV6_AT.source + IPV6_OCTETS);
  }
  /** A window, not a copy. */
  get target(): Ipv6Address {
    return this.octets.subarray(IPV6_AT.target, IPV6_AT.target + IPV6_OCTETS);
  }
  /** End of the packet: by its length field, or where the captured octets end. */
  get end(): number {
    return Math.min(this.octets.length, IPV6_HEADER_OCTETS + this.payloadLengthOctets);
  }
  /** Where the extension headers lead. */
  get walk(): Ipv6Walk {
    const walk = new Ipv6Walk();
    walk.walk(this.octets, this.nextHeader, IPV6_AT.payload, this.end);
    return walk;
  }

  /** What makes the packet unusable; undefined: nothing. */
  get problem(): WireProblem | undefined {
    if (this.version !== 6) return "version";
    if (IPV6_HEADER_OCTETS + this.payloadLengthOctets > this.octets.length) return "total-length";
    return this.walk.isWhole ? undefined : "extension-header";
  }
}

/**
 * One extension header as it stands; its first octet (what follows) is rewritten by
 * `emitIpv6Packet`.
 */
export interface Ipv6Extension {
  readonly protocol: number;
  readonly octets: Uint8Array;
}

/**
 * A packet's meaning. Addresses are copies; extensions and payload are windows on the parsed
 * octets.
 */
export interface Ipv6 {
  readonly trafficClass: number;
  readonly flowLabel: number;
  readonly hopLimit: number;
  readonly source: Ipv6Address;
  readonly target: Ipv6Address;
  readonly extensions: readonly Ipv6Extension[];
  /** What the payload is. */
  readonly protocol: number;
  readonly payload: Uint8Array;
}

/** undefined: `view.problem` says why. */
export function parseIpv6Packet(view: Ipv6View): Ipv6 | undefined {
  if (view.problem !== undefined) return undefined;
  const { octets, end, walk } = view;
  const extensions: Ipv6Extension[] = [];
  let protocol = view.nextHeader;
  let at: number = IPV6_AT.payload;
  while (extensions.length < walk.headerCount) {
    const lengthOctets = extensionOctets(octets, protocol, at, end);
    extensions.push({ protocol, octets: octets.subarray(at, at + lengthOctets) });
    protocol = octets[at]!;
    at += lengthOctets;
  }
  return {
    trafficClass: view.trafficClass,
    flowLabel: view.flowLabel,
    hopLimit: view.hopLimit,
    source: copyOctets(view.source),
    target: copyOctets(view.target),
    extensions,
    protocol,
    payload: octets.subarray(at, end),
  };
}

/**
 * Writes header, extension headers and payload. Throws V2Error EXTENSION_LENGTH for an extension
 * header whose own length field disagrees with its octets.
 * @returns octets written.
 */
export function emitIpv6Packet(packet: Ipv6, into: Uint8Array): number {
  let payloadAt = IPV6_HEADER_OCTETS;
  for (const extension of packet.extensions) payloadAt += extension.octets.length;
  const totalOctets = payloadAt + packet.payload.length;
  requireRoom("an IPv6 packet", into, totalOctets);
  requireField("IPv6 payload length", totalOctets - IPV6_HEADER_OCTETS, 0xffff);
  into.set(packet.payload, payloadAt);
  const classAndFlow = ((packet.trafficClass & 0xff) << 20) | (packet.flowLabel & 0xf_ffff);
  writeU32(into, IPV6_AT.versionClassFlow, 0x6000_0000 + classAndFlow);
  writeU16(into, IPV6_AT.payloadLength, totalOctets - IPV6_HEADER_OCTETS);
  into[IPV6_AT.hopLimit] = packet.hopLimit;
  emitAddress(packet.source, IPV6_OCTETS, into, IPV6_AT.source);
  emitAddress(packet.target, IPV6_OCTETS, into, IPV6_AT.target);
  let nextHeaderAt: number = IPV6_AT.nextHeader;
  let at = IPV6_HEADER_OCTETS;
  for (const { protocol, octets } of packet.extensions) {
    requireExtension(protocol, octets);
    into[nextHeaderAt] = protocol;
    into.set(octets, at);
    nextHeaderAt = at;
    at += octets.length;
  }
  into[nextHeaderAt] = packet.protocol;
  return totalOctets;
}

function requireExtension(protocol: number, octets: Uint8Array): void {
  const said = isExtensionHeader(protocol)
    ? extensionOctets(octets, protocol, 0, octets.length)
    : 0;
  if (said === octets.length && said > 0) return;
  throw new V2Error(
    "EXTENSION_LENGTH",
    `extension header ${protocol} has ${octets.length} octets and says ${said}`,
    { remedy: "Give it a whole number of 8 octets and set its second octet to match." },
  );
}

/** "fe80::1 > ff02::1", without what it carries (print.ts knows that). */
export function printIpv6Packet(view: Ipv6View): string {
  return `${printIpv6(view.source)} > ${printIpv6(view.target)}`;
}
