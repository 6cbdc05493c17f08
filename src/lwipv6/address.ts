/**
 * One address type for both families: 128 bits, IPv4 as ::ffff:a.b.c.d (RFC 4291 §2.5.5.2). Held as
 * four 32-bit words, so that routes, sockets and tables compare numbers; octets and text exist at
 * the edges only.
 */
import {
  IPV4_OCTETS,
  IPV6_OCTETS,
  parseAddress,
  printIpv4,
  printIpv6,
  readU32,
  V2Error,
  writeU32,
} from "../base/index.ts";

const MAPPED = 0xffff;

/** An address that never changes; words as signed 32-bit numbers in network order. */
export class IpAddress {
  readonly w0: number;
  readonly w1: number;
  readonly w2: number;
  readonly w3: number;

  /** The words may be signed or unsigned. */
  constructor(w0: number, w1: number, w2: number, w3: number) {
    this.w0 = w0 | 0;
    this.w1 = w1 | 0;
    this.w2 = w2 | 0;
    this.w3 = w3 | 0;
  }

  /** An IPv4 address by its 32 bits. */
  static ipv4(bits: number): IpAddress {
    return new IpAddress(0, 0, MAPPED, bits);
  }

  /** From 4 or 16 octets at `at`. */
  static read(octets: Uint8Array, at: number, lengthOctets: number): IpAddress {
    if (lengthOctets === IPV4_OCTETS) return IpAddress.ipv4(readU32(octets, at));
    return new IpAddress(
      readU32(octets, at),
      readU32(octets, at + 4),
      readU32(octets, at + 8),
      readU32(octets, at + 12),
    );
  }

  /** Reads the text of either family. Throws V2Error ADDRESS for anything else. */
  static parse(text: string): IpAddress {
    const octets = parseAddress(text);
    if (octets === undefined) {
      throw new V2Error("ADDRESS", `"${text}" is no IPv4 or IPv6 address`, {
        remedy: "Write 10.0.0.1 or fd00::1.",
      });
    }
    return IpAddress.read(octets, 0, octets.length);
  }

  /** True for ::ffff:0:0/96: the packet on the wire is IPv4. */
  get isIpv4(): boolean {
    return this.w0 === 0 && this.w1 === 0 && this.w2 === MAPPED;
  }

  /** 0.0.0.0 or ::. */
  get isUnspecified(): boolean {
    return this.w3 === 0 && this.w0 === 0 && this.w1 === 0 && (this.w2 === 0 || this.isIpv4);
  }

  /** 224.0.0.0/4 or ff00::/8. */
  get isMulticast(): boolean {
    return this.isIpv4 ? this.w3 >>> 28 === 0xe : this.w0 >>> 24 === 0xff;
  }

  /** 127.0.0.0/8 or ::1. */
  get isLoopback(): boolean {
    if (this.isIpv4) return this.w3 >>> 24 === 127;
    return this.w0 === 0 && this.w1 === 0 && this.w2 === 0 && this.w3 === 1;
  }

  /** 169.254.0.0/16 or fe80::/10. */
  get isLinkLocal(): boolean {
    return this.isIpv4 ? this.w3 >>> 16 === 0xa9fe : this.w0 >>> 22 === 0x3fa;
  }

  equals(other: IpAddress): boolean {
    return (
      this.w3 === other.w3 && this.w2 === other.w2 && this.w1 === other.w1 && this.w0 === other.w0
    );
  }

  /** Writes 4 octets (IPv4) or 16 at `at`. @returns octets written. */
  write(into: Uint8Array, at: number): number {
    if (this.isIpv4) {
      writeU32(into, at, this.w3);
      return IPV4_OCTETS;
    }
    this.writeWhole(into, at);
    return IPV6_OCTETS;
  }

  /** Writes all 16 octets at `at`, IPv4 in its mapped form. */
  writeWhole(into: Uint8Array, at: number): void {
    writeU32(into, at, this.w0);
    writeU32(into, at + 4, this.w1);
    writeU32(into, at + 8, this.w2);
    writeU32(into, at + 12, this.w3);
  }

  /** 4 octets (IPv4) or 16. */
  toOctets(): Uint8Array {
    const octets = new Uint8Array(this.isIpv4 ? IPV4_OCTETS : IPV6_OCTETS);
    this.write(octets, 0);
    return octets;
  }

  /** "10.0.0.1" or RFC 5952 text; also what a Map may use as a key. */
  toString(): string {
    return this.isIpv4 ? printIpv4(this.toOctets()) : printIpv6(this.toOctets());
  }
}

/** :: */
export const ANY_IPV6 = new IpAddress(0, 0, 0, 0);
/** 0.0.0.0 */
export const ANY_IPV4 = IpAddress.ipv4(0);

/** An address with a length in bits of the 128-bit form: 10.0.0.0/8 is ::ffff:10.0.0.0/104. */
export class IpPrefix {
  /** Bits behind the length are zero. */
  readonly address: IpAddress;
  /** 0 … 128 */
  readonly lengthBits: number;

  constructor(address: IpAddress, lengthBits: number) {
    this.address = maskAddress(address, lengthBits);
    this.lengthBits = lengthBits;
  }

  /** With a length as its family counts: 0 … 32 for IPv4, 0 … 128 for IPv6. */
  static of(address: IpAddress, familyBits: number): IpPrefix {
    return new IpPrefix(address, address.isIpv4 ? 96 + familyBits : familyBits);
  }

  contains(address: IpAddress): boolean {
    return this.containsWords(address.w0, address.w1, address.w2, address.w3);
  }

  /** The same for an address given in words; nothing is allocated. */
  containsWords(w0: number, w1: number, w2: number, w3: number): boolean {
    const { address, lengthBits } = this;
    return (
      ((w0 ^ address.w0) & maskWord(lengthBits)) === 0 &&
      ((w1 ^ address.w1) & maskWord(lengthBits - 32)) === 0 &&
      ((w2 ^ address.w2) & maskWord(lengthBits - 64)) === 0 &&
      ((w3 ^ address.w3) & maskWord(lengthBits - 96)) === 0
    );
  }

  /** "10.0.0.0/8", "fd00::/64". */
  toString(): string {
    const { address, lengthBits } = this;
    const bits = address.isIpv4 && lengthBits >= 96 ? lengthBits - 96 : lengthBits;
    return `${address.toString()}/${bits}`;
  }
}

/** The first `lengthBits` bits of an address, the others zero. */
export function maskAddress(address: IpAddress, lengthBits: number): IpAddress {
  return new IpAddress(
    address.w0 & maskWord(lengthBits),
    address.w1 & maskWord(lengthBits - 32),
    address.w2 & maskWord(lengthBits - 64),
    address.w3 & maskWord(lengthBits - 96),
  );
}

function maskWord(bits: number): number {
  if (bits <= 0) return 0;
  return bits >= 32 ? -1 : -1 << (32 - bits);
}
