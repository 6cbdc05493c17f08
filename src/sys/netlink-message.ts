/**
 * Netlink messages, host byte order: header, fixed part, attributes (netlink(7), linux/netlink.h).
 * Pure: octets in, octets out. Both supported machines (x86_64, aarch64) are little endian.
 */

/** struct nlmsghdr: length, type, flags, sequence, port. */
export const MESSAGE_HEADER_OCTETS = 16;
const ATTRIBUTE_HEADER_OCTETS = 4;
/** NLA_F_NESTED and NLA_F_NET_BYTEORDER are flags in an attribute's type. */
const ATTRIBUTE_TYPE_MASK = 0x3fff;
const ATTRIBUTE_NESTED = 0x8000;

/** nlmsghdr.type of control messages. */
export const CONTROL = { error: 2, done: 3 } as const;
/** nlmsghdr.flags. */
export const FLAG = {
  request: 1,
  multi: 2,
  ack: 4,
  dump: 0x300,
  exclusive: 0x200,
  create: 0x400,
  /** In an answer: the request's payload is not repeated in the error message. */
  capped: 0x100,
  /** In an answer: attributes follow the error code. */
  extendedAck: 0x200,
} as const;

const align4 = (n: number): number => (n + 3) & ~3;

/** Builds one message: `new MessageWriter(type, flags, sequence).u8(…).attribute(…).finish()`. */
export class MessageWriter {
  #octets: Uint8Array;
  #view: DataView;
  #length: number;

  constructor(type: number, flags: number, sequence: number) {
    this.#octets = new Uint8Array(512);
    this.#view = new DataView(this.#octets.buffer);
    this.#length = MESSAGE_HEADER_OCTETS;
    this.#view.setUint16(4, type, true);
    this.#view.setUint16(6, flags, true);
    this.#view.setUint32(8, sequence, true);
  }

  /** Appends octets of the fixed part as they are. */
  raw(octets: Uint8Array): this {
    const at = this.#grow(octets.length);
    this.#octets.set(octets, at);
    return this;
  }

  /** Appends an attribute: octets, text (with its final zero) or an unsigned 32 bit number. */
  attribute(type: number, value: Uint8Array | string | number): this {
    const octets =
      typeof value === "string"
        ? new TextEncoder().encode(`${value}\0`)
        : typeof value === "number"
          ? new Uint8Array(Uint32Array.of(value).buffer)
          : value;
    const at = this.#grow(ATTRIBUTE_HEADER_OCTETS + octets.length);
    this.#view.setUint16(at, ATTRIBUTE_HEADER_OCTETS + octets.length, true);
    this.#view.setUint16(at + 2, type, true);
    this.#octets.set(octets, at + ATTRIBUTE_HEADER_OCTETS);
    return this;
  }

  /** Appends an attribute whose value is what `fill` appends. */
  nest(type: number, fill: (writer: this) => void): this {
    const at = this.#grow(ATTRIBUTE_HEADER_OCTETS);
    this.#view.setUint16(at + 2, type | ATTRIBUTE_NESTED, true);
    fill(this);
    this.#view.setUint16(at, this.#length - at, true);
    return this;
  }

  /** The finished message; the writer must not be used again. */
  finish(): Uint8Array {
    this.#view.setUint32(0, this.#length, true);
    return this.#octets.subarray(0, this.#length);
  }

  /** Makes room for `octets` and the padding behind them; @returns where they start. */
  #grow(octets: number): number {
    const at = this.#length;
    this.#length = at + align4(octets);
    if (this.#length > this.#octets.length) {
      const larger = new Uint8Array(this.#length * 2);
      larger.set(this.#octets);
      this.#octets = larger;
      this.#view = new DataView(larger.buffer);
    }
    return at;
  }
}

/** One message of an answer. */
export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** What follows the header. */
  readonly payload: Uint8Array;
}

/** Splits what one recv gave; stops at the first message that does not fit. */
export function parseMessages(octets: Uint8Array): Message[] {
  const view = viewOf(octets);
  const messages: Message[] = [];
  for (let at = 0; at + MESSAGE_HEADER_OCTETS <= octets.length; ) {
    const length = view.getUint32(at, true);
    if (length < MESSAGE_HEADER_OCTETS || at + length > octets.length) break;
    messages.push({
      type: view.getUint16(at + 4, true),
      flags: view.getUint16(at + 6, true),
      sequence: view.getUint32(at + 8, true),
      payload: octets.subarray(at + MESSAGE_HEADER_OCTETS, at + length),
    });
    at += align4(length);
  }
  return messages;
}

/**
 * Attributes from `offset` on, by type; of a repeated one the last; stops at the first that does
 * not fit.
 */
export function parseAttributes(octets: Uint8Array, offset = 0): Map<number, Uint8Array> {
  const view = viewOf(octets);
  const attributes = new Map<number, Uint8Array>();
  for (let at = offset; at + ATTRIBUTE_HEADER_OCTETS <= octets.length; ) {
    const length = view.getUint16(at, true);
    if (length < ATTRIBUTE_HEADER_OCTETS || at + length > octets.length) break;
    attributes.set(
      view.getUint16(at + 2, true) & ATTRIBUTE_TYPE_MASK,
      octets.subarray(at + ATTRIBUTE_HEADER_OCTETS, at + length),
    );
    at += align4(length);
  }
  return attributes;
}

/** What an NLMSG_ERROR says: errno (0: done) and the kernel's sentence, if it gave one. */
export interface Acknowledgement {
  readonly errno: number;
  readonly text: string | undefined;
}

/** Reads an NLMSG_ERROR; undefined when it is too short. */
export function parseAcknowledgement(message: Message): Acknowledgement | undefined {
  const { payload, flags } = message;
  if (payload.length < 4 + MESSAGE_HEADER_OCTETS) return undefined;
  const view = viewOf(payload);
  const errno = -view.getInt32(0, true);
  if ((flags & FLAG.extendedAck) === 0) return { errno, text: undefined };
  // The request's header is always repeated, its payload only when not capped.
  const repeated = (flags & FLAG.capped) === 0 ? view.getUint32(4, true) : MESSAGE_HEADER_OCTETS;
  const text = parseAttributes(payload, 4 + align4(repeated)).get(1);
  return { errno, text: text === undefined ? undefined : textOf(text) };
}

/** Octets up to the first zero as text. */
export function textOf(octets: Uint8Array): string {
  const end = octets.indexOf(0);
  return new TextDecoder().decode(end === -1 ? octets : octets.subarray(0, end));
}

/** Unsigned 32 bit value of an attribute; undefined when it is missing or too short. */
export function u32Of(octets: Uint8Array | undefined): number | undefined {
  return octets === undefined || octets.length < 4 ? undefined : viewOf(octets).getUint32(0, true);
}

function viewOf(octets: Uint8Array): DataView {
  return new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
}
