/** A classic BPF machine for tests: what the kernel would say of a call (linux/filter.h). */
import assert from "node:assert/strict";

/** One system call, as a filter sees it (struct seccomp_data). */
export interface FilteredCall {
  readonly arch: number;
  readonly number: number;
  readonly args?: readonly bigint[];
}

export const VERDICT = {
  allow: 0x7fff0000,
  trace: 0x7ff00000,
  notify: 0x7fc00000,
  errno: 0x00050000,
} as const;

/** Runs a filter; fails on what the kernel's checker would refuse. */
export function runFilter(filter: Uint8Array, call: FilteredCall): number {
  const program = new DataView(filter.buffer, filter.byteOffset, filter.length);
  const data = new DataView(new ArrayBuffer(64));
  data.setInt32(0, call.number, true);
  data.setUint32(4, call.arch, true);
  call.args?.forEach((word, index) => data.setBigUint64(16 + 8 * index, word, true));
  const length = filter.length / 8;
  let accumulator = 0;
  for (let at = 0; at < length; at++) {
    const code = program.getUint16(8 * at, true);
    const k = program.getUint32(8 * at + 4, true);
    const ifTrue = program.getUint8(8 * at + 2);
    const ifFalse = program.getUint8(8 * at + 3);
    if (code === 0x20) {
      assert.ok(k % 4 === 0 && k < 64, `load of ${k}`);
      accumulator = data.getUint32(k, true);
    } else if (code === 0x54) accumulator = (accumulator & k) >>> 0;
    else if (code === 0x15) at += accumulator === k ? ifTrue : ifFalse;
    else if (code === 0x35) at += accumulator >= k ? ifTrue : ifFalse;
    else if (code === 0x05) at += k;
    else if (code === 0x06) return k;
    else assert.fail(`unexpected instruction ${code}`);
  }
  return assert.fail("fell off the end of the filter");
}
