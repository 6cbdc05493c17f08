import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compileFilter, type FilterRule, levelZeroRules } from "./filter.ts";
import { AUDIT_ARCH_I386, AUDIT_ARCH_X86_64, SYS_X86_64 } from "./syscall-numbers.ts";

const ALLOW = 0x7fff0000;
const NOTIFY = 0x7fc00000;
const ENOSYS = 0x00050000 | 38;

/** Runs a filter as the kernel would (linux/filter.h semantics of the five instructions in use). */
function evaluate(filter: Uint8Array, arch: number, number: number): number {
  const view = new DataView(filter.buffer);
  let accumulator = 0;
  for (let at = 0; at < filter.length / 8; at++) {
    const code = view.getUint16(8 * at, true);
    const k = view.getUint32(8 * at + 4, true);
    const ifTrue = view.getUint8(8 * at + 2);
    const ifFalse = view.getUint8(8 * at + 3);
    if (code === 0x20) accumulator = (k === 0 ? number : arch) >>> 0;
    else if (code === 0x15) at += accumulator === k ? ifTrue : ifFalse;
    else if (code === 0x35) at += accumulator >= k ? ifTrue : ifFalse;
    else if (code === 0x05) at += k;
    else if (code === 0x06) return k;
    else assert.fail(`unexpected instruction ${code}`);
  }
  return assert.fail("fell off the end of the filter");
}

test("level 0 notifies the mount family, refuses the new mount interface and allows all else", () => {
  const filter = compileFilter(levelZeroRules());
  assert.equal(evaluate(filter, AUDIT_ARCH_X86_64, SYS_X86_64.mount), NOTIFY);
  assert.equal(evaluate(filter, AUDIT_ARCH_X86_64, SYS_X86_64.sethostname), NOTIFY);
  assert.equal(evaluate(filter, AUDIT_ARCH_X86_64, SYS_X86_64.fsopen), ENOSYS);
  assert.equal(evaluate(filter, AUDIT_ARCH_I386, 22), NOTIFY);
  for (const hot of [
    SYS_X86_64.read,
    SYS_X86_64.write,
    SYS_X86_64.open,
    SYS_X86_64.execve,
    4,
    500,
  ]) {
    assert.equal(evaluate(filter, AUDIT_ARCH_X86_64, hot), ALLOW);
  }
});

test("x32 calls and unknown architectures get ENOSYS, never another table's answer", () => {
  const filter = compileFilter(levelZeroRules());
  assert.equal(evaluate(filter, AUDIT_ARCH_X86_64, 0x40000000 | SYS_X86_64.mount), ENOSYS);
  assert.equal(evaluate(filter, 0xc00000b7, 40), ENOSYS);
});

test("a filter of any rules decides every call as the rules say", () => {
  const rule = fc.record({
    arch: fc.constantFrom(AUDIT_ARCH_X86_64, AUDIT_ARCH_I386),
    number: fc.nat(600),
    action: fc.oneof(
      fc.constant({ kind: "notify" as const }),
      fc.record({ kind: fc.constant("errno" as const), errno: fc.integer({ min: 1, max: 133 }) }),
    ),
  });
  const rules = fc.uniqueArray(rule, { selector: (r) => `${r.arch}/${r.number}`, maxLength: 300 });
  const expected = (rules: readonly FilterRule[], arch: number, number: number): number => {
    const found = rules.find((r) => r.arch === arch && r.number === number);
    if (found === undefined) return ALLOW;
    return found.action.kind === "notify" ? NOTIFY : 0x00050000 | found.action.errno;
  };
  fc.assert(
    fc.property(rules, (rules) => {
      const filter = compileFilter(rules);
      for (const arch of [AUDIT_ARCH_X86_64, AUDIT_ARCH_I386]) {
        for (let number = 0; number <= 601; number++) {
          assert.equal(evaluate(filter, arch, number), expected(rules, arch, number));
        }
      }
    }),
    { numRuns: 40, seed: 77 },
  );
});
