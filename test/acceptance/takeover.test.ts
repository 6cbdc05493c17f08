// time limit: 240 s
/**
 * The server of views is killed, and another takes its views over: what their guests see of that.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import { Arena, Started } from "./robustness.ts";
import { compile, eventually, isRunning, missingProgram, type Outcome, V2 } from "./v2.ts";

const GUEST = fileURLToPath(
  new URL("../../../test/fixtures/robustness/takeover.c", import.meta.url),
);
const VUNAME = `'${process.execPath}' '${V2}' vuname`;

/** A guest that does what it reads, line by line, and says "done" after each. */
const OBEYS = 'echo done; while read line; do eval "$line"; echo done; done';

/** A view whose first guest obeys. */
class Obedient {
  readonly #child: ChildProcess;
  readonly #started: Started;

  constructor(arena: Arena, options: readonly string[]) {
    const words = [V2, "view", ...options, "--", "sh", "-c", OBEYS];
    this.#child = spawn(process.execPath, words, { env: arena.env, stdio: "pipe" });
    this.#started = new Started(this.#child);
  }

  async ready(): Promise<this> {
    await this.#started.says("done\n");
    return this;
  }

  /** Lets it do something, without waiting for that. */
  tell(line: string): void {
    this.#started.stdout = "";
    this.#child.stdin!.write(`${line}\n`);
  }

  /** What it says until it is done. */
  async said(): Promise<string> {
    await this.#started.says("done\n");
    return this.#started.stdout.replace(/done\n$/, "") + this.#started.stderr;
  }

  ask(line: string): Promise<string> {
    this.tell(line);
    return this.said();
  }

  end(): Promise<unknown> {
    this.#child.stdin!.end();
    return this.#started.ended();
  }
}

/** Processes of the arena by the beginning of their command line. */
function found(arena: Arena, title: string): number[] {
  return arena
    .processes()
    .map(({ pid }) => pid)
    .filter((pid) => readFileSync(`/proc/${pid}/cmdline`, "utf8").startsWith(title));
}

/** The server whose store this is; undefined: there is none at the moment. */
function serverOf(store: number): number | undefined {
  try {
    const children = readFileSync(`/proc/${store}/task/${store}/children`, "utf8");
    const [child] = children.trim().split(" ").filter(Boolean).map(Number);
    return child !== undefined && isRunning(child) ? child : undefined;
  } catch {
    return undefined;
  }
}

/** The one store in the arena, and its server. */
async function running(arena: Arena): Promise<{ store: number; server: number }> {
  assert.ok(await eventually(() => found(arena, "v2 store").length === 1), "no store");
  const store = found(arena, "v2 store")[0]!;
  assert.ok(await eventually(() => serverOf(store) !== undefined), "no server");
  return { store, server: serverOf(store)! };
}

/** Kills the server and waits for the next one. */
async function killServer(arena: Arena): Promise<number> {
  const { store, server } = await running(arena);
  process.kill(server, "SIGKILL");
  const next = (): number | undefined => {
    const now = serverOf(store);
    return now === server ? undefined : now;
  };
  assert.ok(await eventually(() => next() !== undefined), "nobody takes over");
  return next()!;
}

const enter = (arena: Arena, name: string, script: string): Promise<Outcome> =>
  arena.run([process.execPath, V2, "view", "exec", name, "--", "sh", "-c", script]);

const COUNT = "grep -c takeover /proc/self/mounts";
const MOUNT = "mount -t tmpfs takeover /mnt";
/** The first view does not wait until its server runs; this does. */
const ANSWERED = `${MOUNT}; umount /mnt`;

test("three views go on when their server is killed", async () => {
  using arena = new Arena();
  const a = await new Obedient(arena, ["--name", "a"]).ready();
  assert.equal(await a.ask(ANSWERED), "");
  const b = await new Obedient(arena, ["--name", "b"]).ready();
  const quiet = await new Obedient(arena, []).ready();
  assert.equal(await a.ask(`${MOUNT}; ${COUNT}`), "1\n");
  for (let round = 0; round < 2; round++) {
    await killServer(arena);
    // Whoever comes while nobody is there waits.
    assert.equal((await enter(arena, "a", `hostname; ${COUNT}; ${VUNAME} -N`)).stdout, "a\n1\na\n");
    assert.equal((await enter(arena, "b", `${COUNT}; ${VUNAME} -N`)).stdout, "0\nb\n");
  }
  const list = await arena.run([process.execPath, V2, "view", "list", "--json"]);
  const names = (JSON.parse(list.stdout) as { name: string }[]).map(({ name }) => name);
  assert.deepEqual(names.sort(), ["a", "b"]);
  assert.equal(await a.ask(`umount /mnt; ${COUNT}`), "0\n");
  assert.equal(await b.ask(`${MOUNT}; ${COUNT}`), "1\n");
  assert.equal(
    await quiet.ask(`${MOUNT}; ${COUNT}; ${VUNAME} -q -x > /dev/null; echo $?`),
    "1\n0\n",
  );
  for (const view of [a, b, quiet]) assert.equal(await view.end(), 0);
  await arena.assertEmpty("three views");
});

test("new views, guests that entered, views inside views, names and aliases go on as well", async () => {
  using arena = new Arena();
  const view = await new Obedient(arena, ["--name", "old"]).ready();
  const inner = `'${process.execPath}' '${V2}' view --name inner -- sh -c 'echo in; exec sleep 60' &`;
  assert.equal(await view.ask(`${VUNAME} new; ${VUNAME} -N`), "new\n");
  await view.ask(`'${process.execPath}' '${V2}' um_fsalias scratch tmpfs`);
  await view.ask(`${inner} inner=$!; sleep 1`);
  await killServer(arena);
  assert.equal(
    (await enter(arena, "inner", `${VUNAME} -N; ${MOUNT}; ${COUNT}`)).stdout,
    "inner\n1\n",
  );
  assert.equal(await view.ask(`mount -t scratch takeover /mnt; ${COUNT}; umount /mnt`), "1\n");
  const other = await arena.view(["--name", "other"], ["sh", "-c", `${MOUNT}; ${COUNT}`]);
  assert.deepEqual([other.stdout, other.stderr], ["1\n", ""]);
  assert.equal((await enter(arena, "new", COUNT)).stdout, "0\n");
  await view.ask("kill $inner; wait");
  assert.equal(await view.end(), 0);
  await arena.assertEmpty("all kinds");
});

test("a call that waits for a stopped server is answered by the next one", async () => {
  using arena = new Arena();
  const view = await new Obedient(arena, []).ready();
  assert.equal(await view.ask(ANSWERED), "");
  const { server } = await running(arena);
  process.kill(server, "SIGSTOP");
  view.tell(`${MOUNT}; ${COUNT}`);
  await new Promise((resolve) => setTimeout(resolve, 300));
  await killServer(arena);
  assert.equal(await view.said(), "1\n");
  assert.equal(await view.end(), 0);
  await arena.assertEmpty("stopped");
});

const UNDECIDED = `import { module } from "virtualsquare/viewos";
export default module("undecided", {
  timeoutMs: 60_000, on: { sethostname: () => new Promise(() => {}) } });`;

test("a call that the killed server had begun fails with EINTR", async (t) => {
  const reason = missingProgram("gcc", "gcc");
  if (reason !== undefined) return t.skip(reason);
  using arena = new Arena();
  const guest = compile(GUEST, join(arena.directory, "takeover"));
  const file = join(arena.directory, "undecided.mjs");
  writeFileSync(file, UNDECIDED);
  const view = await new Obedient(arena, []).ready();
  assert.equal(await view.ask(`'${process.execPath}' '${V2}' vu_insmod '${file}'`), "");
  const { server } = await running(arena);
  view.tell(`'${guest}' name waits & '${guest}' name waits; wait`);
  await new Promise((resolve) => setTimeout(resolve, 500));
  assert.ok(isRunning(server));
  await killServer(arena);
  assert.equal(await view.said(), "4\n4\n");
  assert.equal(await view.end(), 0);
  await arena.assertEmpty("begun");
  return undefined;
});

test("twenty kills in a row, while a guest mounts and unmounts: no call hangs", async (t) => {
  const reason = missingProgram("gcc", "gcc");
  if (reason !== undefined) return t.skip(reason);
  using arena = new Arena();
  const guest = compile(GUEST, join(arena.directory, "takeover"));
  const child = spawn(process.execPath, [V2, "view", "--", guest, "/mnt"], {
    env: arena.env,
    stdio: "pipe",
  });
  const started = new Started(child);
  for (let kill = 0; kill < 20; kill++) {
    started.stdout = "";
    await started.says(".\n");
    await new Promise((resolve) => setTimeout(resolve, (kill * 7) % 40));
    await killServer(arena);
  }
  started.stdout = "";
  await started.says(".\n");
  child.stdin.end();
  assert.equal(await started.ended(), 0, started.stderr);
  assert.match(started.stdout, /others 0/);
  t.diagnostic(started.stdout.trim().split("\n").at(-1)!);
  await arena.assertEmpty("twenty kills");
  return undefined;
});

test("servers that are killed before they take over are not started for ever", async () => {
  using arena = new Arena();
  const view = await new Obedient(arena, []).ready();
  const { store } = await running(arena);
  const killed = new Set<number>();
  const ended = await eventually(() => {
    const server = serverOf(store);
    if (server !== undefined) process.kill(server, "SIGKILL");
    if (server !== undefined) killed.add(server);
    return !isRunning(store);
  }, 20_000);
  assert.ok(ended, "the store goes on");
  assert.ok(killed.size > 1 && killed.size < 6, `${killed.size} servers`);
  assert.match(await view.ask(`${MOUNT}; ls -d /`), /not implemented/i);
  assert.equal(await view.end(), 0);
  await arena.assertEmpty("tries");
});

test("with its store killed a server goes on, and without both guests get clean errors", async () => {
  using arena = new Arena();
  const view = await new Obedient(arena, ["--name", "lone"]).ready();
  const { store, server } = await running(arena);
  process.kill(store, "SIGKILL");
  assert.ok(await eventually(() => !isRunning(store)));
  assert.equal(await view.ask(`${MOUNT}; ${COUNT}; umount /mnt`), "1\n");
  assert.equal((await enter(arena, "lone", `${VUNAME} -N`)).stdout, "lone\n");
  const second = await arena.view(["--name", "second"], ["sh", "-c", `${MOUNT}; ${COUNT}`]);
  assert.equal(second.stdout, "1\n");
  process.kill(server, "SIGKILL");
  assert.ok(await eventually(() => !isRunning(server)));
  assert.match(await view.ask(`${MOUNT}; ls -d /`), /not implemented/i);
  assert.equal(await view.end(), 0);
  await arena.assertEmpty("both");
});

test("a server that is told to end ends its views, and nobody takes over", async () => {
  using arena = new Arena();
  const view = await new Obedient(arena, ["--name", "last"]).ready();
  assert.equal(await view.ask(ANSWERED), "");
  const { store, server } = await running(arena);
  process.kill(server);
  assert.ok(await eventually(() => !isRunning(store) && !isRunning(server)));
  assert.equal(await view.end(), "SIGKILL");
  await arena.assertEmpty("told to end");
});
