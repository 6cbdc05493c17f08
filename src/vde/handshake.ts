/**
 * The control handshake of a VDE switch: one request on the stream socket DIR/ctl, one address
 * back. Little endian, packed:
 *
 *   version 3:  magic u32 · version u32 · type and port u32 · sockaddr_un 110 · description
 *   version 1:  magic u32 · type u32 · MAC 6 · sockaddr_un 110 · description
 *
 * The low 8 bits of "type and port" are the type, the rest the wanted port (0: any). The reply is
 * the sockaddr_un of the switch's data socket. Layout: struct request_v1/request_v3 of libvdeplug's
 * protocol.
 *
 * Ours beside it: a client that can carry unfinished frames ends its description with "
 * caps=vnet1", a word like any other to another switch. A switch that agrees says "caps=vnet1" in
 * the last octets of the address it replies, behind the zero that ends the path; nobody else looks
 * there. From then on each datagram of this cable, both ways, starts with a virtio-net header
 * (wire/virtio-net.ts). One reply of one length: the two sides cannot be of different opinions.
 */

/** First word of every request. */
export const REQUEST_MAGIC = 0xfeedface;
/** The version this switch and all living clients speak. */
export const REQUEST_VERSION = 3;
/** Octets of a sockaddr_un: the family in two, the path in 108. */
export const ADDRESS_OCTETS = 110;
/** Octets of description kept; more are ignored. */
export const DESCRIPTION_OCTETS_MAX = 134;

const AF_UNIX = 1;
const HEAD_OCTETS = 12;
const V3_OCTETS = HEAD_OCTETS + ADDRESS_OCTETS;
const V1_ADDRESS_AT = 14;
const V1_OCTETS = V1_ADDRESS_AT + ADDRESS_OCTETS;
/** 24 bits of the third word. */
const WANTED_PORT_MAX = 0xff_ffff;

/** Low octet of the third word. */
const TYPE_CONTROL = 0;
const TYPE_PORT_ZERO = 1;

/** Said by both sides: unfinished frames, described by a virtio-net header of ten octets. */
const CAPABILITY = "caps=vnet1";
const AGREEMENT = new TextEncoder().encode(CAPABILITY);
const AGREEMENT_AT = ADDRESS_OCTETS - AGREEMENT.length;

/** Why a request was refused; also the names of the counters. */
export type Refusal = "badMagic" | "badVersion" | "badType" | "badPath";

export interface Request {
  readonly version: 1 | 3;
  /** The port asked for; 0: any; -1: the management port 0. */
  readonly wantedPort: number;
  /** sockaddr_un of the client's data socket as it came, to connect to. */
  readonly address: Uint8Array;
  /** The path in it; undefined for a name in the abstract name space. */
  readonly path: string | undefined;
}

/**
 * Gathers a request from pieces of any size. After it is complete, further octets are description.
 */
export class RequestReader {
  /** Set as soon as the fixed part is there. */
  request: Request | undefined;
  /** Set when the request can never be accepted. */
  refusal: Refusal | undefined;
  readonly #octets = new Uint8Array(V1_OCTETS + DESCRIPTION_OCTETS_MAX);
  #length = 0;
  #descriptionAt = V3_OCTETS;

  /** Takes what arrived; look at `request` and `refusal` afterwards. */
  push(octets: Uint8Array): void {
    if (this.refusal !== undefined) return;
    const taken = Math.min(octets.length, this.#octets.length - this.#length);
    this.#octets.set(octets.subarray(0, taken), this.#length);
    this.#length += taken;
    if (this.request === undefined) this.#parse();
  }

  /**
   * What the client calls itself, so far; control characters become '?', other octets read as
   * UTF-8.
   */
  get description(): string {
    const end = Math.min(this.#length, this.#descriptionAt + DESCRIPTION_OCTETS_MAX);
    if (this.request === undefined || end <= this.#descriptionAt) return "";
    const text = new TextDecoder().decode(this.#octets.subarray(this.#descriptionAt, end));
    // oxlint-disable-next-line no-control-regex -- these are the characters to be taken out
    return text.replace(/\0[^]*$/, "").replace(/[\u0000-\u001f\u007f]/g, "?");
  }

  /** The client can carry unfinished frames, and would like to. */
  get asksOffload(): boolean {
    return this.description.endsWith(` ${CAPABILITY}`);
  }

  #parse(): void {
    const view = new DataView(this.#octets.buffer);
    if (this.#length >= 4 && view.getUint32(0, true) !== REQUEST_MAGIC) {
      this.refusal = "badMagic";
      return;
    }
    if (this.#length < 8) return;
    const version = view.getUint32(4, true);
    // The oldest form has no version: its type (0 or 1) stands there.
    if (version < 2) this.#complete(1, version, 0, V1_ADDRESS_AT);
    else if (version !== REQUEST_VERSION) this.refusal = "badVersion";
    else if (this.#length >= HEAD_OCTETS) {
      const word = view.getUint32(8, true);
      this.#complete(3, word & 0xff, word >>> 8, HEAD_OCTETS);
    }
  }

  #complete(version: 1 | 3, type: number, port: number, addressAt: number): void {
    if (type !== TYPE_CONTROL && type !== TYPE_PORT_ZERO) {
      this.refusal = "badType";
      return;
    }
    const end = addressAt + ADDRESS_OCTETS;
    if (this.#length < end) return;
    const address = this.#octets.slice(addressAt, end);
    const path = pathOf(address);
    if (path === null) {
      this.refusal = "badPath";
      return;
    }
    this.#descriptionAt = end;
    this.request = {
      version,
      wantedPort: type === TYPE_PORT_ZERO ? -1 : port,
      address,
      path: path === "" ? undefined : path,
    };
  }
}

/** The path of a sockaddr_un: "" for an abstract name, null when there is none. */
function pathOf(address: Uint8Array): string | null {
  if (address[0] !== AF_UNIX || address[1] !== 0) return null;
  if (address[2] === 0) return address[3] === 0 ? null : "";
  const zero = address.indexOf(0, 2);
  const end = zero === -1 ? ADDRESS_OCTETS : zero;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(address.subarray(2, end));
  } catch {
    return null;
  }
}

/** What a switch answered. */
export interface Reply {
  /** The sockaddr_un of its data socket. */
  readonly address: Uint8Array;
  /** A virtio-net header is in front of each frame. */
  readonly offload: boolean;
}

/** The address in a reply and what it agrees to, or undefined when it is not one. */
export function parseReply(octets: Uint8Array): Reply | undefined {
  if (octets.length !== ADDRESS_OCTETS) return undefined;
  const path = pathOf(octets);
  if (path === null) return undefined;
  const offload = path !== "" && agrees(octets);
  const address = octets.slice();
  if (offload) address.fill(0, AGREEMENT_AT);
  return { address, offload };
}

function agrees(octets: Uint8Array): boolean {
  if (octets[AGREEMENT_AT - 1] !== 0) return false;
  return AGREEMENT.every((octet, i) => octets[AGREEMENT_AT + i] === octet);
}

/**
 * A reply: a sockaddr_un of a path that fits. @param offload see `Reply`; a path so long that the
 * agreement does not fit behind it cannot have it.
 */
export function emitReply(path: string, offload: boolean): Uint8Array {
  const address = emitAddress(path);
  if (offload) address.set(AGREEMENT, AGREEMENT_AT);
  return address;
}

/** Whether the agreement to unfinished frames fits behind this path in a reply. */
export function canAgree(path: string): boolean {
  return new TextEncoder().encode(path).length + 2 < AGREEMENT_AT;
}

/** A sockaddr_un of a path that fits (107 octets; the caller checks). */
export function emitAddress(path: string): Uint8Array {
  const address = new Uint8Array(ADDRESS_OCTETS);
  address[0] = AF_UNIX;
  address.set(new TextEncoder().encode(path).subarray(0, ADDRESS_OCTETS - 3), 2);
  return address;
}

/**
 * A version 3 request.
 * @param wantedPort 0: any, -1: the management port.
 * @param asksOffload asks for a virtio-net header in front of each frame.
 */
export function emitRequest(
  path: string,
  wantedPort: number,
  description: string,
  asksOffload = false,
): Uint8Array {
  const asked = new TextEncoder().encode(asksOffload ? ` ${CAPABILITY}` : "");
  const room = DESCRIPTION_OCTETS_MAX - asked.length;
  const own = new TextEncoder().encode(description).subarray(0, room);
  const text = new Uint8Array(own.length + asked.length);
  text.set(own);
  text.set(asked, own.length);
  const octets = new Uint8Array(V3_OCTETS + text.length);
  const view = new DataView(octets.buffer);
  view.setUint32(0, REQUEST_MAGIC, true);
  view.setUint32(4, REQUEST_VERSION, true);
  const port = Math.min(Math.max(wantedPort, 0), WANTED_PORT_MAX);
  view.setUint32(8, (port << 8) | (wantedPort === -1 ? TYPE_PORT_ZERO : TYPE_CONTROL), true);
  octets.set(emitAddress(path), HEAD_OCTETS);
  octets.set(text, V3_OCTETS);
  return octets;
}
