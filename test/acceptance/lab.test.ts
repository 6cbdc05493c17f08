// time limit: 240 s
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

const V2 = fileURLToPath(new URL("../../src/cli/main.js", import.meta.url));
const EXAMPLE = fileURLToPath(new URL("../../../examples/first-square.yaml", import.meta.url));

/** Everything of these tests runs in this directory and has it in its environment. */
const RUNTIME = mkdtempSync(join(tmpdir(), "v2-lab-"));
const ENV = { ...process.env, XDG_RUNTIME_DIR: RUNTIME };
const LAB = join(RUNTIME, "virtualsquare", "labs", "first-square");
const WAIT_MS = 15_000;

after(() => {
  for (const pid of ourProcesses()) process.kill(pid, "SIGKILL");
  rmSync(RUNTIME, { recursive: true, force: true });
});

/** Processes that have our run directory in their environment: whatever a lab has started. */
function ourProcesses(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const environment = readFileSync(`/proc/${pid}/environ`, "latin1").split("\0");
        return pid !== process.pid && environment.includes(`XDG_RUNTIME_DIR=${RUNTIME}`);
      } catch {
        return false;
      }
    });
}

function v2(...argv: readonly string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [V2, ...argv], {
    env: ENV,
    encoding: "utf8",
    timeout: 90_000,
  });
}

/** Waits for a condition that another process brings about. */
async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + WAIT_MS;
  while (!condition()) {
    assert.ok(performance.now() < deadline, `never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Nothing of any lab is left: no process, no directory, no file. */
async function nothingIsLeft(): Promise<void> {
  await until(() => ourProcesses().length === 0, "all processes end");
  assert.deepEqual(readdirSync(RUNTIME), []);
}

interface Foreground {
  readonly runner: ChildProcess;
  readonly said: () => string;
}

async function foreground(): Promise<Foreground> {
  const runner = spawn(process.execPath, [V2, "lab", "first-square"], {
    env: ENV,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let text = "";
  for (const stream of [runner.stdout, runner.stderr]) {
    stream.on("data", (chunk: Buffer) => (text += chunk.toString("utf8")));
  }
  await until(() => text.includes("end it with SIGINT"), `the lab runs: ${text}`);
  return { runner, said: () => text };
}

function supervisorOf(node: string): number {
  const list = JSON.parse(v2("view", "list", "--json").stdout) as {
    name: string;
    supervisorPid: number;
  }[];
  return list.find((view) => view.name === `first-square.${node}`)!.supervisorPid;
}

function switchPid(): number {
  return ourProcesses().find((pid) =>
    readFileSync(`/proc/${pid}/cmdline`, "latin1").includes("switch\0--sock"),
  )!;
}

const mayRun = spawnSync("unshare", ["-Ur", "true"]).status === 0;
const REASON = "needs user namespaces: sysctl kernel.unprivileged_userns_clone=1";

test("the first square passes its own checks and leaves nothing", async (t) => {
  if (!mayRun) return t.skip(REASON);
  const { status, stdout, stderr } = v2("lab", "first-square", "--once", "--json");
  assert.equal(status, 0, stdout + stderr);
  const { ok, checks } = JSON.parse(stdout) as {
    ok: boolean;
    checks: { number: number; outcome: string; detail: string }[];
  };
  assert.equal(ok, true);
  assert.deepEqual(
    checks.map((check) => check.number),
    [1, 2, 3, 4, 5, 6, 7],
  );
  for (const check of checks) {
    if (check.outcome === "not applicable" && process.env["CI"] === undefined) {
      assert.match(check.detail, /^needs /);
    } else assert.equal(check.outcome, "passed", check.detail);
  }
  await nothingIsLeft();
});

test("with closed devices the first square has veth cables, and says what its image needs", async (t) => {
  if (!mayRun) return t.skip(REASON);
  const close = ["/dev/net/tun", "/dev/fuse"]
    .map((device) => `mount --bind ${device} ${device}; mount -o remount,bind,nodev ${device}`)
    .join("; ");
  const command = `'${process.execPath}' '${V2}' lab first-square --once --json`;
  const { status, stdout, stderr } = spawnSync(
    "unshare",
    ["-Urm", "sh", "-c", `${close}; exec ${command}`],
    { env: ENV, encoding: "utf8", timeout: 90_000 },
  );
  assert.equal(status, 0, stdout + stderr);
  const { checks } = JSON.parse(stdout) as { checks: { outcome: string; detail: string }[] };
  const image = checks[3]!;
  assert.equal(image.outcome, "not applicable");
  assert.match(image.detail, /^needs \/dev\/fuse \(.*\): sudo chmod 0666 \/dev\/fuse$/);
  assert.equal(checks.filter((check) => check.outcome === "failed").length, 0);
  await nothingIsLeft();
});

test("a lab in the background is shown, entered and ended by name or file", async (t) => {
  if (!mayRun) return t.skip(REASON);
  const up = v2("lab", "up", EXAMPLE);
  assert.equal(up.status, 0, up.stderr);
  assert.match(up.stdout, /alice +view +running +eth0-lan:1 +10\.77\.0\.2\/24/);
  const inside = v2("lab", "exec", "first-square", "bob", "--", "sh", "-c", "id -u; uname -n");
  assert.equal(inside.stdout, "0\nbob\n", inside.stderr);
  assert.equal(v2("lab", "exec", "first-square", "bob", "--", "sh", "-c", "exit 7").status, 7);
  assert.equal(v2("lab", "exec", "first-square", "dave", "--", "true").status, 3);
  const again = v2("lab", "up", EXAMPLE);
  assert.equal(again.status, 1);
  assert.match(again.stderr, /is running/);
  assert.equal(v2("lab", "down", EXAMPLE).status, 0);
  assert.equal(v2("lab", "status", "--json").stdout, "[]\n");
  assert.equal(v2("lab", "down", "first-square").status, 3);
  await nothingIsLeft();
});

/** The first square on a terminal of its own (script(1)), and what is on its screen. */
function onTerminal(): { readonly terminal: ChildProcess; readonly screen: { text: string } } {
  const terminal = spawn(
    "script",
    ["-qec", `'${process.execPath}' '${V2}' lab first-square`, "/dev/null"],
    {
      env: { ...ENV, SHELL: "/bin/sh", TERM: "dumb" },
      stdio: ["pipe", "pipe", "ignore"],
      cwd: RUNTIME,
    },
  );
  const screen = { text: "" };
  terminal.stdout.setEncoding("utf8").on("data", (chunk: string) => (screen.text += chunk));
  return { terminal, screen };
}

test("on a terminal the first square is a shell in alice, and ctrl-D ends it all", async () => {
  const { terminal, screen } = onTerminal();
  const type = async (keys: string, wait: RegExp): Promise<void> => {
    screen.text = "";
    terminal.stdin!.write(keys);
    await until(() => wait.test(screen.text), `${JSON.stringify(keys)} in ${screen.text}`);
  };
  try {
    await until(() => screen.text.includes("ctrl-D ends the lab"), screen.text);
    await type("echo I am in $(hostname)\n", /I am in alice\r/);
    await type("ping -c 1 -W 5 bob > /dev/null && echo re''ached\n", /reached/);
    // Begun, not only typed: a ctrl-C between the shell's fork and its exec would be lost.
    await type("sh -c 'echo be\"\"gun; exec sleep 100'\n", /begun/);
    await type("\x03", /\^C/);
    await type("echo on''ward\n", /onward/);
    terminal.stdin!.write("\x04");
    const [code] = (await once(terminal, "close")) as [number];
    assert.equal(code, 0);
    await nothingIsLeft();
  } finally {
    terminal.kill("SIGKILL");
  }
});

test("SIGTERM ends the first square also while its shell has the terminal", async () => {
  const { terminal, screen } = onTerminal();
  try {
    await until(() => screen.text.includes("ctrl-D ends the lab"), screen.text);
    terminal.stdin!.write("echo he''re\n");
    await until(() => screen.text.includes("here"), screen.text);
    const runner = ourProcesses().find((pid) =>
      readFileSync(`/proc/${pid}/cmdline`, "latin1").endsWith("main.js\0lab\0first-square\0"),
    );
    process.kill(runner!, "SIGTERM");
    await once(terminal, "close");
    await nothingIsLeft();
  } finally {
    terminal.kill("SIGKILL");
  }
});

test("a signal ends a lab in the foreground as a whole", async (t) => {
  if (!mayRun) return t.skip(REASON);
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    const { runner } = await foreground();
    runner.kill(signal);
    assert.deepEqual(await once(runner, "exit"), [0, null]);
    await nothingIsLeft();
  }
});

test("everything of a lab dies with its runner, also by kill -9", async (t) => {
  if (!mayRun) return t.skip(REASON);
  const { runner } = await foreground();
  runner.kill("SIGKILL");
  await once(runner, "exit");
  await nothingIsLeft();
});

test("a lab tells which part was killed, goes on without it, and leaves nothing of it", async (t) => {
  if (!mayRun) return t.skip(REASON);
  const { runner, said } = await foreground();
  const supervisor = supervisorOf("bob");
  process.kill(supervisor, "SIGKILL");
  await until(() => said().includes("view bob has ended"), "bob's end is told");
  process.kill(switchPid(), "SIGKILL");
  await until(() => said().includes("switch lan has died (SIGKILL)"), "the switch's end is told");
  await until(() => !existsSync(join(LAB, "lan")), "the switch's directory goes");
  const alice = v2("lab", "exec", "first-square", "alice", "--", "uname", "-n");
  assert.equal(alice.stdout, "alice\n");
  process.kill(supervisorOf("alice"), "SIGKILL");
  assert.deepEqual(await once(runner, "exit"), [0, null]);
  await nothingIsLeft();
});

test("a wrong topology ends with 2 and every problem, a missing one with 3", () => {
  const file = join(mkdtempSync(join(RUNTIME, "wrong-")), "wrong.yaml");
  writeFileSync(
    file,
    "name: x\ntopology:\n  nodes:\n    a: { kind: view, adresses: [] }\n  links: [{endpoints: [a, b]}]\n",
  );
  const { status, stderr } = v2("lab", "up", file);
  assert.equal(status, 2);
  assert.ok(stderr.includes(`${file}:4:22: unknown key 'adresses' (did you mean 'addresses'?)`));
  assert.ok(stderr.includes(`${file}:5:27: link to unknown node 'b'`));
  assert.equal(v2("lab", "up", join(RUNTIME, "none.yaml")).status, 3);
  const text = (image: string): string =>
    `name: x\ntopology: { nodes: { a: { kind: view, image: { file: ${image}, mount: /mnt } } } }\n`;
  writeFileSync(file, text("wrong.yaml"));
  const noImage = v2("lab", "up", file);
  assert.equal(noImage.status, 2, noImage.stderr);
  assert.match(noImage.stderr, /is no file-system image that can be mounted\n +known formats/);
  rmSync(dirname(file), { recursive: true });
  assert.deepEqual(readdirSync(RUNTIME), []);
});
