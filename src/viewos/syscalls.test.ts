import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { SIGNATURES } from "./syscall-signatures.ts";
import {
  AUDIT_ARCH_AARCH64,
  AUDIT_ARCH_I386,
  AUDIT_ARCH_X86_64,
  SYS_I386,
  SYS_X86_64,
} from "./syscall-numbers.ts";
import { AARCH64_CALLS, I386_CALLS, X86_64_CALLS } from "./syscall-tables.ts";
import { SYSCALL_CLASSES, SyscallTable } from "./syscalls.ts";

const ARCHITECTURES = [
  [AUDIT_ARCH_X86_64, X86_64_CALLS, "x86_64-linux-gnu/asm/unistd_64.h"],
  [AUDIT_ARCH_I386, I386_CALLS, "x86_64-linux-gnu/asm/unistd_32.h"],
  [AUDIT_ARCH_AARCH64, AARCH64_CALLS, "asm-generic/unistd.h"],
] as const;

/** Names of the generic table that are no calls of aarch64. */
const OTHERS = new Set(["syscalls", "arch_specific_syscall", "sync_file_range2"]);

test("every call of every architecture has a class and known arguments", () => {
  for (const [arch, text] of ARCHITECTURES) {
    const table = new SyscallTable(arch);
    for (const [, name, number] of text.matchAll(/(\w+)=(\d+)/g)) {
      assert.equal(table.named(name!)?.number, Number(number), name);
      assert.equal(table.numbered(Number(number))?.name, name);
    }
    assert.equal(table.calls().length, text.trim().split(/\s+/).length);
  }
});

test("every described call exists, once", () => {
  const tables = ARCHITECTURES.map(([arch]) => new SyscallTable(arch));
  const seen = new Set<string>();
  for (const name of SYSCALL_CLASSES) {
    for (const [, call] of SIGNATURES[name].matchAll(/(\w+)\(/g)) {
      assert.ok(!seen.has(call!), `${call} twice`);
      seen.add(call!);
      const base = [call!, `${call}64`].some((known) => tables.some((t) => t.named(known)));
      assert.ok(base, `${call} is no call of any architecture`);
    }
  }
});

test("the numbers that the engine makes or answers are those of the tables", () => {
  const native = new SyscallTable(AUDIT_ARCH_X86_64);
  for (const [name, number] of Object.entries(SYS_X86_64)) {
    assert.equal(native.named(name)?.number, number);
  }
  const compatible = new SyscallTable(AUDIT_ARCH_I386);
  for (const [name, number] of Object.entries(SYS_I386)) {
    assert.equal(compatible.named(name)?.number, number);
  }
});

test("the tables agree with the kernel's headers of this machine", (t) => {
  for (const [arch, , file] of ARCHITECTURES) {
    const path = `/usr/include/${file}`;
    if (!existsSync(path)) return t.skip("needs linux-libc-dev: apt install linux-libc-dev");
    const table = new SyscallTable(arch);
    const text = readFileSync(path, "utf8");
    let compared = 0;
    for (const [, name, number] of text.matchAll(/^#define __NR(?:3264)?_(\w+)\s+(\d+)$/gm)) {
      const known = table.numbered(Number(number));
      // The generic table also has what aarch64 leaves to others, and a counter at its end.
      if (known === undefined || OTHERS.has(name!)) continue;
      // Its fstatat is called newfstatat on machines of 64 bits.
      assert.equal(known.name, name === "fstatat" ? "newfstatat" : name);
      compared++;
    }
    assert.ok(compared > 290, `${compared} calls of ${file}`);
  }
  return undefined;
});
