import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { runFilter, VERDICT } from "../../test/bpf.ts";
import { compileCondition, coldTraps, handlerTraps, pathPattern } from "./conditions.ts";
import { compileFilter, levelZeroRules } from "./filter.ts";
import { opensForWriting } from "./operation-fields.ts";
import { type Operation, operationCalls, OPERATIONS } from "./operations.ts";
import { AUDIT_ARCH_I386, AUDIT_ARCH_X86_64 } from "./syscall-numbers.ts";
import { SyscallTable } from "./syscalls.ts";
import {
  coldRules,
  decodeTraps,
  encodeTraps,
  missingCalls,
  type Trap,
  trapRules,
  trapsOf,
} from "./traps.ts";

const X86 = new SyscallTable(AUDIT_ARCH_X86_64);
const I386 = new SyscallTable(AUDIT_ARCH_I386);

/** What a filter of these traps says of a call. */
function verdict(traps: readonly Trap[], table: SyscallTable, name: string, ...args: number[]) {
  const number = table.named(name)!.number;
  const words = Array.from({ length: 6 }, (_, index) => BigInt((args[index] ?? 0) >>> 0));
  return runFilter(compileFilter(trapRules(traps)), { arch: table.arch, number, args: words });
}

test("a pattern ends at names for one star, crosses them for two, and a tree has its root", () => {
  const hits = (pattern: string, ...paths: string[]): boolean[] =>
    paths.map((path) => pathPattern(pattern).test(path));
  assert.deepEqual(hits("/etc/**", "/etc", "/etc/a/b", "/etcetera", "/"), [
    true,
    true,
    false,
    false,
  ]);
  assert.deepEqual(hits("/*/x", "/a/x", "/a/b/x", "//x"), [true, false, true]);
  assert.deepEqual(hits("**/.ssh", "/home/a/.ssh", "/.ssh", "/.sshx"), [true, true, false]);
  assert.deepEqual(hits("/a+(b).c", "/a+(b).c", "/aab.c"), [true, false]);
  assert.deepEqual(hits("/**", "/", "/a/b"), [true, true]);
});

test("every field of a condition must hold, and of two paths one", () => {
  const writes = compileCondition({ path: ["/etc/**", "/usr/**"], write: true });
  assert.ok(writes({ path: "/usr/x", write: true }));
  assert.ok(!writes({ path: "/usr/x", write: false }));
  assert.ok(!writes({ path: "/home/x", write: true }));
  assert.ok(compileCondition({ path: "/etc/**" })({ path: "/a", newPath: "/etc/b" }));
  const mail = compileCondition({ port: [25, 587], family: "inet" });
  assert.ok(mail({ addr: { family: "inet", host: "10.0.0.1", port: 587 } }));
  assert.ok(!mail({ addr: { family: "inet6", port: 25 } }));
  assert.ok(!mail({ addr: { family: "unix", path: "/x" } }));
  assert.ok(compileCondition({})({ anything: 1 }));
});

test("a handler of writing opens is not woken by reading ones, on either architecture", () => {
  const traps = handlerTraps("open", { write: true });
  for (const table of [X86, I386]) {
    fc.assert(
      fc.property(fc.nat(0o77777777), (flags) => {
        const expected = opensForWriting(flags & ~0o20000000) ? VERDICT.notify : VERDICT.allow;
        assert.equal(verdict(traps, table, "open", 0, flags), expected);
        assert.equal(verdict(traps, table, "openat", 0, 0, flags), expected);
      }),
      { numRuns: 60, seed: 4 },
    );
    assert.equal(verdict(traps, table, "creat"), VERDICT.notify);
    assert.equal(verdict(traps, table, "openat2"), VERDICT.notify);
  }
});

test("the family of a socket is tested in the filter, also behind socketcall", () => {
  const traps = handlerTraps("socket", { family: ["inet", "inet6"] });
  for (const [family, expected] of [
    [1, VERDICT.allow],
    [2, VERDICT.notify],
    [10, VERDICT.notify],
  ] as const) {
    for (const table of [X86, I386]) {
      assert.equal(verdict(traps, table, "socket", family), expected);
      assert.equal(verdict(traps, table, "socketpair", family), expected);
    }
  }
  assert.equal(verdict(traps, I386, "socketcall", 1), VERDICT.notify);
  assert.equal(verdict(traps, I386, "socketcall", 3), VERDICT.allow);
  assert.equal(verdict(handlerTraps("connect", {}), I386, "socketcall", 3), VERDICT.notify);
  assert.equal(verdict(handlerTraps("connect", {}), X86, "sendto"), VERDICT.allow);
});

test("every operation has calls on both architectures, and traps all of them", () => {
  for (const operation of OPERATIONS) {
    const traps = handlerTraps(operation, {});
    for (const table of [X86, I386]) {
      const names = operationCalls(operation).filter((name) => table.named(name) !== undefined);
      assert.ok(names.length > 0, `${operation} on ${table.arch}`);
      for (const name of names) assert.equal(verdict(traps, table, name), VERDICT.notify, name);
    }
  }
});

test("the rare calls are trapped in every view, the usual ones in none", () => {
  const filter = compileFilter([...levelZeroRules(), ...coldRules(coldTraps())]);
  const of = (table: SyscallTable, name: string): number => {
    return runFilter(filter, { arch: table.arch, number: table.named(name)!.number });
  };
  const cold = ["uname", "socket", "setuid", "clock_settime", "mknod", "fchown", "io_uring_setup"];
  for (const name of cold) {
    assert.equal(of(X86, name), VERDICT.notify, name);
    assert.equal(of(I386, name), VERDICT.notify, name);
  }
  for (const name of ["setuid32", "chown32", "clock_settime64", "oldolduname", "stime"]) {
    assert.equal(of(I386, name), VERDICT.notify, name);
  }
  const hot = "open openat stat read write mmap connect sendmsg recvmsg execve time getuid sendto";
  for (const name of hot.split(" ")) assert.equal(of(X86, name), VERDICT.allow, name);
});

test("what a filter does not trap is told by the names of the calls", () => {
  const rules = [...levelZeroRules(), ...coldRules(coldTraps())];
  const missing = (operation: Operation, traps: readonly Trap[] = []): string[] =>
    missingCalls(handlerTraps(operation, {}), [...trapRules(traps), ...rules]).map(
      ({ name }) => name,
    );
  for (const operation of ["uname", "socket", "mount", "chown"] as const) {
    assert.deepEqual(missing(operation), [], operation);
  }
  assert.deepEqual(missing("readlink"), ["readlink", "readlinkat"]);
  assert.deepEqual(missing("open", [{ calls: ["path"] }]), []);
  assert.deepEqual(missing("connect", [{ calls: ["socket-ops"] }]), []);
  const onlyWriting = handlerTraps("open", { write: true });
  assert.deepEqual(missing("open", onlyWriting), ["open", "openat"]);
  assert.deepEqual(missingCalls(onlyWriting, trapRules(onlyWriting)), []);
  assert.deepEqual(missingCalls(onlyWriting, trapRules(trapsOf(["writing"]))), []);
});

test("traps survive the way to another process", () => {
  const traps = [
    ...handlerTraps("socket", { family: "inet" }),
    ...handlerTraps("open", { write: true }),
  ];
  assert.deepEqual(decodeTraps(encodeTraps(traps)), traps);
});
