/**
 * Octets and arrays of addresses for arguments of a guest's call, laid out in one piece of memory.
 */

/** An argument that is to point to other octets than the caller's, or to an array of addresses. */
export interface PlacedArgument {
  readonly index: number;
  /** In an array octets stand for their address. */
  readonly content: Uint8Array | readonly (Uint8Array | bigint)[];
}

const ALIGNMENT = 8;
const aligned = (octets: number): number => Math.ceil(octets / ALIGNMENT) * ALIGNMENT;

function octetsOf({ content }: PlacedArgument, word: number): number {
  if (content instanceof Uint8Array) return aligned(content.length);
  const strings = content.map((one) => (typeof one === "bigint" ? 0 : aligned(one.length)));
  return strings.reduce((sum, one) => sum + one, aligned(content.length * word));
}

/** Octets of memory that the arguments need. */
export function placedOctets(placed: readonly PlacedArgument[], word: number): number {
  return placed.reduce((sum, one) => sum + octetsOf(one, word), 0);
}

/**
 * Lays arguments out for an address.
 * @param word octets of an address in the guest: 8 or 4
 * @param set is given the address of each argument
 */
export function layOut(
  placed: readonly PlacedArgument[],
  base: bigint,
  word: number,
  set: (index: number, address: bigint) => void,
): Uint8Array {
  const memory = new Uint8Array(placedOctets(placed, word));
  const view = new DataView(memory.buffer);
  let end = 0;
  const put = (octets: Uint8Array): bigint => {
    memory.set(octets, end);
    const address = base + BigInt(end);
    end += aligned(octets.length);
    return address;
  };
  for (const { index, content } of placed) {
    if (content instanceof Uint8Array) {
      set(index, put(content));
      continue;
    }
    const addresses = content.map((one) => (typeof one === "bigint" ? one : put(one)));
    set(index, base + BigInt(end));
    addresses.forEach((address, at) => {
      if (word === 8) view.setBigUint64(end + at * word, address, true);
      else view.setUint32(end + at * word, Number(address), true);
    });
    end += aligned(addresses.length * word);
  }
  return memory;
}
