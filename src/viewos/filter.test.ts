import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { runFilter, VERDICT } from "../../test/bpf.ts";
import {
  type ArgumentTest,
  compileFilter,
  type FilterAction,
  type FilterRule,
  levelZeroRules,
} from "./filter.ts";
import { AUDIT_ARCH_I386, AUDIT_ARCH_X86_64, SYS_X86_64 } from "./syscall-numbers.ts";

const ENOSYS = VERDICT.errno | 38;

test("level 0 notifies the mount family, refuses the new mount interface and allows all else", () => {
  const filter = compileFilter(levelZeroRules());
  const verdict = (arch: number, number: number): number => runFilter(filter, { arch, number });
  assert.equal(verdict(AUDIT_ARCH_X86_64, SYS_X86_64.mount), VERDICT.notify);
  assert.equal(verdict(AUDIT_ARCH_X86_64, SYS_X86_64.sethostname), VERDICT.notify);
  assert.equal(verdict(AUDIT_ARCH_X86_64, SYS_X86_64.fsopen), ENOSYS);
  assert.equal(verdict(AUDIT_ARCH_I386, 22), VERDICT.notify);
  const { read, write, open, execve } = SYS_X86_64;
  for (const hot of [read, write, open, execve, 4, 500]) {
    assert.equal(verdict(AUDIT_ARCH_X86_64, hot), VERDICT.allow);
  }
});

test("x32 calls and unknown architectures get ENOSYS, never another table's answer", () => {
  const filter = compileFilter(levelZeroRules());
  for (const number of [0x40000000 | SYS_X86_64.mount, 0x40000000, 0x7fffffff, -1]) {
    assert.equal(runFilter(filter, { arch: AUDIT_ARCH_X86_64, number }), ENOSYS);
  }
  assert.equal(runFilter(filter, { arch: 0xc00000b7, number: 40 }), ENOSYS);
});

test("a filter that the kernel would find too long is refused", () => {
  const rules = Array.from({ length: 1500 }, (_, index): FilterRule => {
    return { arch: AUDIT_ARCH_X86_64, number: 2 * index, action: { kind: "notify" } };
  });
  assert.throws(() => compileFilter(rules), /4096 at most/);
});

/** The specification: the first rule of the call whose tests all hold, else allow. */
function specified(rules: readonly FilterRule[], number: number, args: readonly bigint[]): number {
  const holds = ({ argument, bits, mask, value, differs }: ArgumentTest): boolean => {
    const word = bits === 32 ? args[argument]! & 0xffffffffn : args[argument]!;
    return ((word & mask) === value) !== (differs ?? false);
  };
  const rule = rules.find((rule) => rule.number === number && (rule.tests ?? []).every(holds));
  if (rule === undefined || rule.action.kind === "allow") return VERDICT.allow;
  if (rule.action.kind === "errno") return VERDICT.errno | rule.action.errno;
  return VERDICT[rule.action.kind];
}

/** Few values, so that tests often hold; some differ in the upper half only. */
const word = fc.constantFrom(0n, 1n, 2n, 0x241n, 1n << 32n, (1n << 32n) | 2n, 0xffffffffffffffffn);
const argumentTest = fc
  .record({
    argument: fc.nat(5),
    wide: fc.boolean(),
    mask: word,
    value: word,
    differs: fc.boolean(),
  })
  .map(({ argument, wide, mask, value, differs }): ArgumentTest => {
    const whole = wide ? 0xffffffffffffffffn : 0xffffffffn;
    const bits = wide ? 64 : 32;
    return { argument, bits, mask: mask & whole, value: value & mask & whole, differs };
  });
const rule = fc.record({
  arch: fc.constantFrom(AUDIT_ARCH_X86_64, AUDIT_ARCH_I386),
  number: fc.nat(120),
  tests: fc.array(argumentTest, { maxLength: 3 }),
  action: fc.oneof(
    fc.constantFrom<FilterAction>({ kind: "notify" }, { kind: "trace" }, { kind: "allow" }),
    fc.record({ kind: fc.constant("errno" as const), errno: fc.integer({ min: 1, max: 133 }) }),
  ),
});

test("a filter of any rules decides every call as the rules say", () => {
  fc.assert(
    fc.property(
      fc.array(rule, { maxLength: 120 }),
      fc.array(fc.array(word, { minLength: 6, maxLength: 6 }), { minLength: 4, maxLength: 4 }),
      (rules, calls) => {
        const filter = compileFilter(rules);
        for (const arch of [AUDIT_ARCH_X86_64, AUDIT_ARCH_I386]) {
          const own = rules.filter((rule) => rule.arch === arch);
          for (let number = 0; number <= 121; number++) {
            for (const args of calls) {
              const expected = specified(own, number, args);
              assert.equal(runFilter(filter, { arch, number, args }), expected);
            }
          }
        }
      },
    ),
    { numRuns: 60, seed: 77 },
  );
});
