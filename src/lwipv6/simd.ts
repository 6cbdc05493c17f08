/**
 * Sums of octets sixteen at a time: two functions of WebAssembly with 128-bit vectors, made here
 * octet by octet (WebAssembly core specification 2.0, §5.4 binary format, §5.4.8 vector
 * instructions). They work on one memory, which is the arena's. Where WebAssembly or vectors are
 * missing there are none, and wire/checksum.ts sums in JavaScript.
 */

/** What is used of WebAssembly; the language's own declarations are those of browsers only. */
interface WebAssemblyLike {
  readonly Memory: new (limits: {
    readonly initial: number;
    readonly maximum: number;
  }) => { readonly buffer: ArrayBuffer };
  readonly Module: new (octets: Uint8Array) => object;
  readonly Instance: new (
    module: object,
    imports: { readonly arena: { readonly memory: object } },
  ) => { readonly exports: unknown };
}
declare const WebAssembly: WebAssemblyLike | undefined;

/** Octets of a page of WebAssembly's memory. */
const PAGE_OCTETS = 65_536;

/** Sums over a memory; results are folded to 16 bits, with words in little-endian order. */
export interface VectorSums {
  sum(at: number, length: number): number;
  /** Copies `length` octets from `from` to `to`, which do not overlap, and sums them. */
  copySum(to: number, from: number, length: number): number;
}

/** Memory and what sums it; `sums` is undefined where there are no vectors. */
export interface VectorMemory {
  readonly buffer: ArrayBuffer;
  readonly sums: VectorSums | undefined;
}

/** Memory of at least so many octets, which never grows and never moves. */
export function vectorMemory(octets: number): VectorMemory {
  const pages = Math.ceil(octets / PAGE_OCTETS);
  try {
    if (typeof WebAssembly !== "undefined") {
      const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
      const module = new WebAssembly.Module(moduleOctets(pages));
      const { exports } = new WebAssembly.Instance(module, { arena: { memory } });
      return { buffer: memory.buffer, sums: exports as VectorSums };
    }
  } catch {
    // No vectors, or too many memories: each reserves much address space.
  }
  return { buffer: new ArrayBuffer(octets), sums: undefined };
}

const I32 = 0x7f;
const I64 = 0x7e;
const V128 = 0x7b;
const EMPTY = 0x40;
const END = 0x0b;
const STRIDE = 32;

const OP = {
  block: 0x02,
  loop: 0x03,
  branch: 0x0c,
  branchIf: 0x0d,
  get: 0x20,
  set: 0x21,
  tee: 0x22,
  load8: 0x31,
  load16: 0x33,
  store8: 0x3c,
  store16: 0x3d,
  const32: 0x41,
  const64: 0x42,
  equalZero: 0x45,
  less: 0x49,
  add32: 0x6a,
  subtract32: 0x6b,
  add64: 0x7c,
  and64: 0x83,
  shift64: 0x88,
  wrap: 0xa7,
  extend: 0xad,
} as const;
const VECTOR = 0xfd;
const LOAD_VECTOR = [VECTOR, 0x00];
const STORE_VECTOR = [VECTOR, 0x0b];
/** i32x4.extadd_pairwise_i16x8_u */
const ADD_PAIRS = [VECTOR, 0x7f];
/** i32x4.add */
const ADD_LANES = [VECTOR, 0xae, 0x01];
/** i32x4.extract_lane */
const LANE = [VECTOR, 0x1b];

/** Unsigned LEB128. */
function unsigned(value: number): number[] {
  const octets: number[] = [];
  let rest = value;
  do {
    const low = rest & 0x7f;
    rest >>>= 7;
    octets.push(rest === 0 ? low : low | 0x80);
  } while (rest !== 0);
  return octets;
}

/** Signed LEB128 of a number below 2^53. */
function signed(value: number): number[] {
  const octets: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    const low = rest & 0x7f;
    const isLast = rest < 64;
    octets.push(isLast ? low : low | 0x80);
    if (isLast) return octets;
  }
}

function section(id: number, body: readonly number[]): number[] {
  return [id, ...unsigned(body.length), ...body];
}

function text(value: string): number[] {
  return [value.length, ...Array.from(value, (sign) => sign.charCodeAt(0))];
}

function moduleOctets(pages: number): Uint8Array {
  const types = [2, 0x60, 2, I32, I32, 1, I32, 0x60, 3, I32, I32, I32, 1, I32];
  const memory = [
    1,
    ...text("arena"),
    ...text("memory"),
    2,
    1,
    ...unsigned(pages),
    ...unsigned(pages),
  ];
  const exports = [2, ...text("sum"), 0, 0, ...text("copySum"), 0, 1];
  const bodies = [code(false), code(true)].flatMap((body) => [...unsigned(body.length), ...body]);
  return Uint8Array.from([
    0,
    0x61,
    0x73,
    0x6d,
    1,
    0,
    0,
    0,
    ...section(1, types),
    ...section(2, memory),
    ...section(3, [2, 0, 1]),
    ...section(7, exports),
    ...section(10, [2, ...bodies]),
  ]);
}

/**
 * One function: whole vectors in two sums of four lanes, what is left two octets at a time, the
 * last one alone; then everything folded.
 */
function code(isCopy: boolean): number[] {
  // Arguments: [to,] from, length. Then: two vectors, the sum, an octet or two.
  const to = 0;
  const from = isCopy ? 1 : 0;
  const length = from + 1;
  const [even, odd, sum, part] = [length + 1, length + 2, length + 3, length + 4];
  const get = (local: number): number[] => [OP.get, local];
  const move = (local: number, by: number): number[] => [
    ...get(local),
    OP.const32,
    ...signed(by),
    OP.add32,
    OP.set,
    local,
  ];
  const advance = (by: number): number[] => [
    ...(isCopy ? move(to, by) : []),
    ...move(from, by),
    ...get(length),
    OP.const32,
    ...signed(by),
    OP.subtract32,
    OP.set,
    length,
  ];
  /** Repeats while at least `least` octets are left. */
  const whileLeft = (least: number, body: readonly number[]): number[] => [
    OP.block,
    EMPTY,
    OP.loop,
    EMPTY,
    ...get(length),
    OP.const32,
    ...signed(least),
    OP.less,
    OP.branchIf,
    1,
    ...body,
    OP.branch,
    0,
    END,
    END,
  ];
  const vector = (into: number, offset: number): number[] => [
    ...(isCopy
      ? [...get(to), ...get(from), ...LOAD_VECTOR, 0, offset, ...STORE_VECTOR, 0, offset]
      : []),
    ...get(into),
    ...get(from),
    ...LOAD_VECTOR,
    0,
    offset,
    ...ADD_PAIRS,
    ...ADD_LANES,
    OP.set,
    into,
  ];
  const few = (load: number, store: number, octets: number): number[] => [
    ...get(from),
    load,
    0,
    0,
    OP.set,
    part,
    ...(isCopy ? [...get(to), ...get(part), store, 0, 0] : []),
    ...get(sum),
    ...get(part),
    OP.add64,
    OP.set,
    sum,
    ...advance(octets),
  ];
  const lane = (number: number): number[] => [
    ...get(sum),
    ...get(even),
    ...LANE,
    number,
    OP.extend,
    OP.add64,
    OP.set,
    sum,
  ];
  const fold = (bits: number): number[] => [
    ...get(sum),
    OP.const64,
    ...signed(2 ** bits - 1),
    OP.and64,
    ...get(sum),
    OP.const64,
    ...signed(bits),
    OP.shift64,
    OP.add64,
    OP.set,
    sum,
  ];
  const locals = [2, 2, V128, 2, I64];
  return [
    ...locals,
    ...whileLeft(STRIDE, [...vector(even, 0), ...vector(odd, 16), ...advance(STRIDE)]),
    ...get(even),
    ...get(odd),
    ...ADD_LANES,
    OP.set,
    even,
    ...[0, 1, 2, 3].flatMap(lane),
    ...whileLeft(2, few(OP.load16, OP.store16, 2)),
    ...whileLeft(1, few(OP.load8, OP.store8, 1)),
    ...fold(32),
    ...fold(16),
    ...fold(16),
    ...fold(16),
    ...get(sum),
    OP.wrap,
    END,
  ];
}
