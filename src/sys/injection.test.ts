import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync, readlinkSync } from "node:fs";
import { after, test } from "node:test";
import { V2Error } from "../base/index.ts";
import { injectCalls } from "./injection.ts";
import { LaunchProgram, type ProgramPlace, type Step } from "./launch-program.ts";

const SYS = { getpid: 39, chdir: 80, close: 3 };
const DOOR = new URL("./index.js", import.meta.url).href;

/** A program whose second call goes to another directory. */
function going(place: ProgramPlace): { program: LaunchProgram; entry: Step } {
  const program = new LaunchProgram(place);
  const entry = program.call(SYS.getpid, []);
  program.call(SYS.chdir, [program.string("/proc")], { mayFail: true });
  program.call(SYS.close, [-1], { mayFail: true });
  return { program, entry };
}

/** The same as a script that kills itself before its call with that number. */
const killedBefore = (call: number): string => `
const { injectCalls, LaunchProgram } = await import(${JSON.stringify(DOOR)});
const SYS = ${JSON.stringify(SYS)};
${going.toString()}
let calls = 0;
injectCalls(Number(process.argv[1]), going, () => {
  if (++calls === ${call}) process.kill(process.pid, "SIGKILL");
});`;

const children: ChildProcess[] = [];
after(() => {
  for (const child of children) child.kill("SIGKILL");
});

/** Starts a program and waits until it waits for something. */
async function waiting(argv: readonly string[]): Promise<ChildProcess> {
  const child = spawn(argv[0]!, argv.slice(1), { stdio: ["pipe", "pipe", "inherit"] });
  children.push(child);
  const isAsleep = (): boolean =>
    readFileSync(`/proc/${child.pid}/comm`, "utf8").trim() === argv[0] && stateOf(child) === "S";
  while (!isAsleep()) await soon();
  return child;
}

const soon = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 10));
const stateOf = ({ pid }: ChildProcess): string =>
  /\) (.)/.exec(readFileSync(`/proc/${pid}/stat`, "utf8"))![1]!;

const mapsOf = ({ pid }: ChildProcess): string => readFileSync(`/proc/${pid}/maps`, "utf8");
const maskOf = ({ pid }: ChildProcess): string =>
  /^SigBlk:.*$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![0];

test("a process makes the calls in its own name, and waits on as before", async () => {
  const child = await waiting(["cat"]);
  const [maps, mask] = [mapsOf(child), maskOf(child)];
  const calls = injectCalls(child.pid!, going);
  assert.deepEqual(
    calls.map(({ result }) => result),
    [child.pid, 0, -9],
  );
  assert.equal(readlinkSync(`/proc/${child.pid}/cwd`), "/proc");
  assert.equal(mapsOf(child), maps);
  assert.equal(maskOf(child), mask);
  child.stdin!.end("still here");
  assert.equal(String((await once(child.stdout!, "data"))[0]), "still here");
  assert.deepEqual(await once(child, "close"), [0, null]);
});

test("a sleep that is interrupted lasts as long as it would have", async () => {
  const start = performance.now();
  const child = await waiting(["sleep", "1"]);
  for (let i = 0; i < 5; i++) injectCalls(child.pid!, going);
  assert.deepEqual(await once(child, "close"), [0, null]);
  const ms = performance.now() - start;
  assert.ok(ms >= 1000 && ms < 1900, `${ms} ms`);
});

test("whoever injects may be killed before any of the calls: the process makes them and goes on", async () => {
  // mmap, the three of the program, munmap.
  for (let call = 1; call <= 5; call++) {
    const child = await waiting(["cat"]);
    const mask = maskOf(child);
    const script = ["--input-type=module", "-e", killedBefore(call), "--", String(child.pid)];
    const killed = spawnSync(process.execPath, script, { encoding: "utf8" });
    assert.equal(killed.signal, "SIGKILL", killed.stderr);
    child.stdin!.write("still here");
    assert.equal(String((await once(child.stdout!, "data"))[0]), "still here");
    assert.equal(maskOf(child), mask);
    const directory = readlinkSync(`/proc/${child.pid}/cwd`);
    // Without memory for the program there is none: it is as it was.
    assert.equal(directory, call === 1 ? process.cwd() : "/proc", `killed before call ${call}`);
    child.stdin!.end();
    assert.deepEqual(await once(child, "close"), [0, null]);
  }
});

test("a signal that comes meanwhile is delivered after, and one that stops stops", async () => {
  const child = await waiting(["cat"]);
  injectCalls(child.pid!, going, (number) => {
    if (number === SYS.chdir) child.kill("SIGSTOP");
  });
  while (stateOf(child) !== "T") await soon();
  child.kill("SIGCONT");
  injectCalls(child.pid!, going, (number) => {
    if (number === SYS.chdir) child.kill("SIGTERM");
  });
  assert.deepEqual(await once(child, "close"), [null, "SIGTERM"]);
});

test("a process that is gone, stopped or killed meanwhile is an error with its number", async () => {
  const child = await waiting(["cat"]);
  const code = (expected: string) => (error: unknown) =>
    error instanceof V2Error && error.code === expected && error.message.includes(`${child.pid}`);
  child.kill("SIGSTOP");
  while (stateOf(child) !== "T") await soon();
  assert.throws(() => injectCalls(child.pid!, going), code("STOPPED"));
  while (stateOf(child) !== "T") await soon();
  child.kill("SIGCONT");
  const kill = (): void => void child.kill("SIGKILL");
  assert.throws(() => injectCalls(child.pid!, going, kill), code("ENDED"));
  assert.throws(() => injectCalls(child.pid!, going), code("ESRCH"));
  // Its end was told to the tracer, which is its parent too: Node waits for it in vain.
  child.stdin!.destroy();
  child.stdout!.destroy();
  child.unref();
});
