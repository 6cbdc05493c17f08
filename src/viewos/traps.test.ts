import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { runFilter, VERDICT } from "../../test/bpf.ts";
import { compileFilter } from "./filter.ts";
import { AUDIT_ARCH_I386, AUDIT_ARCH_X86_64 } from "./syscall-numbers.ts";
import { CLASS_GROUPS, SYSCALL_CLASSES, SyscallTable } from "./syscalls.ts";
import { isTrapName, type Trap, trapRules } from "./traps.ts";

const NATIVE = new SyscallTable(AUDIT_ARCH_X86_64);
const COMPATIBLE = new SyscallTable(AUDIT_ARCH_I386);
const ENOSYS = VERDICT.errno | 38;
const O_ACCMODE = 3;

function verdict(traps: readonly Trap[], table: SyscallTable, name: string, ...args: bigint[]) {
  const { arch, number } = table.named(name)!;
  return runFilter(compileFilter(trapRules(traps)), { arch, number, args });
}

test("a class traps its calls on both architectures of the machine", () => {
  const traps = [{ calls: ["path"] }];
  for (const name of ["openat", "statx", "unlink", "chdir", "fchmodat2"]) {
    assert.equal(verdict(traps, NATIVE, name), VERDICT.notify);
    assert.equal(verdict(traps, COMPATIBLE, name), VERDICT.notify);
  }
  assert.equal(verdict(traps, COMPATIBLE, "stat64"), VERDICT.notify);
  assert.equal(verdict(traps, NATIVE, "read"), VERDICT.allow);
  assert.equal(verdict(traps, NATIVE, "socket"), VERDICT.allow);
});

test("creating sockets is found in the one number that i386 has for all of their calls", () => {
  const traps = [{ calls: ["socket-create"] }];
  assert.equal(verdict(traps, COMPATIBLE, "socketcall", 1n), VERDICT.notify);
  assert.equal(verdict(traps, COMPATIBLE, "socketcall", 8n), VERDICT.notify);
  assert.equal(verdict(traps, COMPATIBLE, "socketcall", 3n), VERDICT.allow);
  assert.equal(verdict([{ calls: ["socket"] }], COMPATIBLE, "socketcall", 3n), VERDICT.notify);
});

test("io_uring is no way round traps of paths and sockets, and is left alone by others", () => {
  for (const calls of [["path-write"], ["connect"], ["all"]]) {
    assert.equal(verdict([{ calls }], NATIVE, "io_uring_setup"), ENOSYS);
    assert.equal(verdict([{ calls }], COMPATIBLE, "io_uring_setup"), ENOSYS);
  }
  assert.equal(verdict([{ calls: ["exec", "names"] }], NATIVE, "io_uring_setup"), VERDICT.allow);
});

test("open flags narrow a trap, and what a filter cannot see is trapped", () => {
  const openFlags = { mask: O_ACCMODE, value: 0, differs: true };
  const traps = [{ calls: ["open", "openat", "openat2", "creat"], openFlags }];
  assert.equal(verdict(traps, NATIVE, "open", 0n, 0o2000000n), VERDICT.allow);
  assert.equal(verdict(traps, NATIVE, "open", 0n, 1n), VERDICT.notify);
  assert.equal(verdict(traps, NATIVE, "openat", 0n, 0n, 2n), VERDICT.notify);
  // The kernel reads an int: the upper half must not hide the flags, nor feign some.
  assert.equal(verdict(traps, NATIVE, "openat", 0n, 0n, 1n << 32n), VERDICT.allow);
  assert.equal(verdict(traps, NATIVE, "openat", 0n, 0n, (1n << 32n) | 1n), VERDICT.notify);
  assert.equal(verdict(traps, NATIVE, "openat2", 0n, 0n, 0n, 24n), VERDICT.notify);
  assert.equal(verdict(traps, NATIVE, "creat"), VERDICT.notify);
});

test("the longest trap set fits into a filter", () => {
  assert.ok(compileFilter(trapRules([{ calls: ["all"] }])).length / 8 <= 4096);
});

test("a filter of any traps decides every call as the classes say", () => {
  const words = [...SYSCALL_CLASSES, ...Object.keys(CLASS_GROUPS), "openat", "stat64", "execve"];
  const trap = fc.record({
    calls: fc.uniqueArray(fc.constantFrom(...words), { minLength: 1, maxLength: 4 }),
    ifWriting: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(trap, { maxLength: 3 }), fc.bigInt(0n, 7n), (drawn, flags) => {
      const traps = drawn.map(({ calls, ifWriting }): Trap => {
        const openFlags = { mask: O_ACCMODE, value: 0, differs: true };
        return ifWriting ? { calls, openFlags } : { calls };
      });
      const filter = compileFilter(trapRules(traps));
      const named = ({ calls }: Trap, call: { name: string; class: string }): boolean =>
        calls.some((word) => {
          const group: readonly string[] = CLASS_GROUPS[word] ?? [];
          return word === call.name || word === call.class || group.includes(call.class);
        });
      const creates = { name: "socketcall", class: "socket-create" };
      for (const table of [NATIVE, COMPATIBLE]) {
        const trapped = table.calls().filter((call) => traps.some((trap) => named(trap, call)));
        const byRing = trapped.some(({ class: c }) =>
          [...CLASS_GROUPS["path"]!, ...CLASS_GROUPS["socket"]!].includes(c),
        );
        for (const call of table.calls()) {
          const kinds: readonly string[] = call.arguments === "words" ? [] : call.arguments;
          const opens = call.class === "path-read" && kinds.includes("open-flags");
          const matches = traps.some((trap) => {
            if (call.name === "socketcall" && named(trap, creates)) return true;
            const reads = trap.openFlags !== undefined && opens && (flags & 3n) === 0n;
            return named(trap, call) && !reads;
          });
          const expected =
            byRing && call.name === "io_uring_setup"
              ? ENOSYS
              : matches
                ? VERDICT.notify
                : VERDICT.allow;
          // A socketcall that creates; the flags of whatever opens.
          const args = kinds.map((kind) => (kind === "open-flags" ? flags : 1n));
          assert.equal(runFilter(filter, { ...call, args }), expected, call.name);
        }
      }
    }),
    { numRuns: 150, seed: 4 },
  );
});

test("names of traps are classes, groups and calls, and nothing else", () => {
  for (const word of ["path", "path-read", "socket", "all", "openat", "stat64", "fchmodat2"]) {
    assert.ok(isTrapName(word), word);
  }
  for (const word of ["", "paths", "toString", "constructor", "opennat"]) {
    assert.ok(!isTrapName(word), word);
  }
});
