/**
 * Who may plug into a switch: modes, groups and users, beside Debian's vde_switch with the same
 * options. Root tries real users; an ordinary user only itself.
 */
// time limit: 180 s
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { broadcast, framed, has, isOver, type Running, until, V2, Workshop } from "./vde-peers.ts";

const NEEDS = "needs vde_switch and vde_plug: apt install vde2 vdeplug";
/** Numbers of users that no machine has; a group that every Debian has. */
const OWNER = 64_501;
const STRANGER = 64_502;
const GROUP = "users";

/** A process's user and groups. */
interface Identity {
  readonly name: string;
  readonly uid: number;
  /** Also a member of GROUP. */
  readonly isMember: boolean;
}

const ROOT: Identity = { name: "root", uid: 0, isMember: false };
const IDENTITIES: readonly Identity[] = [
  ROOT,
  { name: "owner", uid: OWNER, isMember: true },
  { name: "member", uid: STRANGER, isMember: true },
  { name: "stranger", uid: STRANGER, isMember: false },
];

const OPTIONS: readonly (readonly string[])[] = [
  [],
  ["-m", "660"],
  ["-m", "666"],
  ["-m", "600", "--dirmode", "755"],
  ["-m", "666", "--dirmode", "700"],
  ["--dirmode", "2777"],
  ["-g", GROUP],
  ["-m", "660", "-g", GROUP],
  ["-m", "660", "--dirmode", "2750", "-g", GROUP],
];

/** How long Debian's switch may leave a client without an answer until that counts as none. */
const PATIENCE_MS = 3000;

const isRoot = process.getuid?.() === 0;
/** The words that run a program as somebody; none for an ordinary user. */
function as({ uid, isMember }: Identity): readonly string[] {
  if (!isRoot || uid === 0) return [];
  const group = isMember ? ["--groups", GROUP] : ["--clear-groups"];
  return ["setpriv", "--reuid", String(uid), "--regid", String(uid), ...group, "--inh-caps=-all"];
}

/** A place that every user can enter, with a copy of the program when theirs may not read ours. */
class Ground {
  readonly shop: Workshop;
  readonly path = mkdtempSync("/tmp/v2-access-");
  readonly #program: readonly string[];
  #count = 0;

  constructor(t: TestContext) {
    this.shop = new Workshop(t);
    t.after(() => rmSync(this.path, { recursive: true, force: true }));
    chmodSync(this.path, 0o777);
    this.#program = this.#readable();
  }

  /** Starts a switch as somebody and waits until it serves. @returns its directory. */
  async startSwitch(
    kind: "ours" | "debian",
    owner: Identity,
    options: readonly string[],
  ): Promise<{ directory: string; running: Running }> {
    const directory = join(this.path, `${kind}${this.#count++}`);
    const program = kind === "ours" ? [...this.#program, "switch", "--nostdin"] : ["vde_switch"];
    const running = this.start([...as(owner), ...program, "-s", directory, ...options]);
    await until(() => existsSync(join(directory, "ctl")) || isOver(running));
    assert.ok(!isOver(running), running.errors());
    // The socket is there a moment before it listens and has its mode; a switch that answers does.
    let probe = this.plug(owner, directory);
    // Killed too early it would take Debian's switch with it (SIGPIPE).
    await until(() => {
      if (isOver(probe) && !isOver(running)) probe = this.plug(owner, directory);
      return isIn(directory) || isOver(running);
    });
    assert.ok(!isOver(running), running.errors());
    probe.child.kill("SIGKILL");
    await until(() => namesOf(directory).length === 0);
    return { directory, running };
  }

  plug(who: Identity, directory: string, ...words: string[]): Running {
    return this.start([...as(who), "vde_plug", ...words, directory]);
  }

  start(words: readonly string[]): Running {
    const [program, ...rest] = words;
    return this.shop.start(program!, rest);
  }

  #readable(): readonly string[] {
    const stranger = as(IDENTITIES.at(-1)!);
    const reads = (path: string): boolean =>
      stranger.length === 0 ||
      spawnSync(stranger[0]!, [...stranger.slice(1), "test", "-r", path]).status === 0;
    if (reads(V2) && reads(process.execPath)) return [process.execPath, V2];
    const root = fileURLToPath(new URL("../../../", import.meta.url));
    for (const name of [
      "package.json",
      "build/src",
      "node_modules/koffi",
      "node_modules/@koromix",
    ]) {
      if (!existsSync(join(root, name))) continue;
      cpSync(join(root, name), join(this.path, "copy", name), { recursive: true });
    }
    cpSync(process.execPath, join(this.path, "node"));
    spawnSync("chmod", ["-R", "a+rX", this.path]);
    return [join(this.path, "node"), join(this.path, "copy/build/src/cli/main.js")];
  }
}

/** Names of cables in a switch's directory. */
const namesOf = (directory: string): readonly string[] =>
  readdirSync(directory).filter((name) => /^\d+\./.test(name));

/** Whether a first cable is in: the client takes its own name away at the end of its handshake. */
const isIn = (directory: string): boolean =>
  namesOf(directory).length > 0 && !readdirSync(directory).some((name) => name.startsWith("."));

/** Mode, user and group of a path. */
function ownership(path: string): string {
  const { mode, uid, gid } = statSync(path);
  return `${(mode & 0o7777).toString(8)} ${uid}:${gid}`;
}

/**
 * Whether frames go both ways between a plug that is in and one that may not be let in: "in", "out"
 * when it ended, "hung" when nothing came of it.
 */
async function outcomeOf(listener: Running, who: Running, station: number): Promise<string> {
  const there = framed(broadcast(100, station));
  const back = framed(broadcast(200, station));
  const timer = setInterval(() => {
    who.child.stdin!.write(there);
    listener.child.stdin!.write(back);
  }, 20);
  const isThrough = (): boolean => listener.output().includes(there) && who.output().includes(back);
  const end = performance.now() + PATIENCE_MS;
  await until(() => isThrough() || isOver(who) || performance.now() > end);
  clearInterval(timer);
  if (isThrough()) return "in";
  return isOver(who) ? "out" : "hung";
}

/** Everything that can be seen of a switch's permissions. */
async function examine(
  ground: Ground,
  kind: "ours" | "debian",
  owner: Identity,
  options: readonly string[],
): Promise<Record<string, string>> {
  const { directory, running } = await ground.startSwitch(kind, owner, options);
  const found: Record<string, string> = {
    directory: ownership(directory),
    ctl: ownership(join(directory, "ctl")),
  };
  const listener = ground.plug(owner, directory);
  await until(() => isIn(directory) || isOver(listener));
  assert.ok(!isOver(listener), listener.errors());
  const [name] = namesOf(directory);
  found["listener's name"] = ownership(join(directory, name!));
  for (const [index, who] of (isRoot ? IDENTITIES : [owner]).entries()) {
    const plug = ground.plug(who, directory);
    found[who.name] = await outcomeOf(listener, plug, 2 + index);
    plug.child.kill("SIGKILL");
    await plug.ended;
  }
  running.child.kill("SIGTERM");
  await running.ended;
  return found;
}

const OWNERS: readonly Identity[] = isRoot
  ? [ROOT, IDENTITIES[1]!]
  : [{ name: "owner", uid: process.getuid!(), isMember: false }];

for (const owner of OWNERS) {
  test(`a switch of ${owner.name} lets the same users in as Debian's, by mode and group`, async (t) => {
    if (!has("vde_switch") || !has("vde_plug")) return t.skip(NEEDS);
    const ground = new Ground(t);
    for (const options of OPTIONS) {
      // An ordinary user can give a file only to groups of its own.
      if (!isRoot && options.includes(GROUP)) continue;
      const theirs = await examine(ground, "debian", owner, options);
      const ours = await examine(ground, "ours", owner, options);
      assert.deepEqual(ours, theirs, `vde_switch ${options.join(" ")}`);
    }
  });
}
