import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { closeSync } from "node:fs";
import { test } from "node:test";
import { V2Error } from "../base/index.ts";
import { LaunchProgram, type Step } from "./launch-program.ts";
import { executableInMemory } from "./process.ts";

/** x86_64 numbers. */
const SYS = { read: 0, write: 1, open: 2, close: 3, clone: 56, execve: 59, wait4: 61, exit: 231 };

/** Runs a program; `code` is null and `signal` tells when it crashed. */
function run(program: LaunchProgram, entry: Step, input = "") {
  const executable = executableInMemory("test", program.compile(entry));
  try {
    const { status, signal, stdout } = spawnSync(`/proc/self/fd/${executable}`, [], {
      input,
      encoding: "utf8",
    });
    return { status, signal, stdout };
  } finally {
    closeSync(executable);
  }
}

test("steps run in order and the last one ends the process", () => {
  const program = new LaunchProgram();
  const first = program.call(SYS.write, [1, program.string("one "), 4]);
  program.call(SYS.write, [1, program.string("two"), 3]);
  program.call(SYS.exit, [7]);
  assert.deepEqual(run(program, first), { status: 7, signal: null, stdout: "one two" });
});

test("a result becomes an argument of later steps, as often as wanted", () => {
  const program = new LaunchProgram();
  const opened = program.call(SYS.open, [program.string("/etc/passwd"), 0, 0]);
  const room = program.bytes(new Uint8Array(4));
  const read = program.call(SYS.read, [opened.result, room, 4]);
  program.call(SYS.close, [opened.result]);
  program.call(SYS.write, [1, room, read.result]);
  program.call(SYS.exit, [opened.result]);
  assert.deepEqual(run(program, opened), { status: 3, signal: null, stdout: "root" });
});

test("a failure leads to its own path, with the errno kept", () => {
  const program = new LaunchProgram();
  const exit = program.detached(SYS.exit, [0]);
  const report = program.detached(SYS.read, [0, program.argumentCell(exit, 0), 0]);
  report.next = exit;
  const write = program.detached(SYS.write, [1, program.errnoCell, 1]);
  write.next = exit;
  const first = program.call(SYS.open, [program.string("/nonexistent"), 0, 0], {
    onFailure: write,
  });
  program.call(SYS.exit, [9]);
  const ENOENT = 2;
  const outcome = run(program, first);
  assert.deepEqual([outcome.status, outcome.stdout], [0, String.fromCodePoint(ENOENT)]);
});

test("a step that may fail goes on with its successor", () => {
  const program = new LaunchProgram();
  const first = program.call(SYS.open, [program.string("/nonexistent"), 0, 0], { mayFail: true });
  program.call(SYS.exit, [5]);
  assert.equal(run(program, first).status, 5);
});

test("a result below what is asked for counts as a failure: end of file, the child of a fork", () => {
  const program = new LaunchProgram();
  const atEnd = program.detached(SYS.exit, [11]);
  const room = program.bytes(new Uint8Array(8));
  const read = program.call(SYS.read, [0, room, 8], { atLeast: 1, onFailure: atEnd });
  program.call(SYS.exit, [12]);
  assert.equal(run(program, read, "").status, 11);
  assert.equal(run(program, read, "x").status, 12);

  const forking = new LaunchProgram();
  const child = forking.detached(SYS.write, [1, forking.string("child "), 6]);
  const SIGCHLD = 17;
  const fork = forking.call(SYS.clone, [SIGCHLD, 0, 0, 0, 0], { atLeast: 1, onFailure: child });
  forking.call(SYS.wait4, [fork.result, 0, 0, 0]);
  forking.call(SYS.write, [1, forking.string("parent"), 6]);
  forking.call(SYS.exit, [0]);
  forking.continueAt(child);
  forking.call(SYS.exit, [0]);
  assert.equal(run(forking, fork).stdout, "child parent");
});

test("data received over an argument becomes that argument", () => {
  const program = new LaunchProgram();
  const exit = program.detached(SYS.exit, [0]);
  const read = program.call(SYS.read, [0, program.argumentCell(exit, 0), 1]);
  read.next = exit;
  assert.equal(run(program, read, "*").status, "*".codePointAt(0));
});

test("a program becomes another one with the arguments and environment given", () => {
  const program = new LaunchProgram();
  const shell = program.string("/bin/sh");
  const argv = program.strings(["sh", "-c", 'echo "$1" "$MARK"', "sh", "wörd"]);
  const first = program.call(SYS.execve, [shell, argv, program.strings(["MARK=42"])]);
  assert.equal(run(program, first).stdout, "wörd 42\n");
});

test("another processor is refused with a clear word", () => {
  const program = new LaunchProgram();
  const first = program.call(SYS.exit, [0]);
  assert.throws(
    () => program.compile(first, undefined, "riscv64"),
    (error: unknown) => error instanceof V2Error && error.message.includes("riscv64"),
  );
});
