/** `v2 switch` as a program: its ends, its options, and clients that die. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { MgmtClient } from "./console-peers.ts";
import { until, V2, Workshop } from "./vde-peers.ts";

test("a switch in the foreground ends with 0 at the end of standard input", async (t) => {
  const shop = new Workshop(t);
  const running = shop.v2("switch", "--sock", shop.path("lan"));
  await until(() => existsSync(shop.path("lan/ctl")));
  running.child.stdin!.end();
  assert.equal(await running.ended, 0);
  assert.equal(running.output().length + running.errors().length, 0, "and says nothing");
  assert.equal(existsSync(shop.path("lan")), false);
});

test("INT ends a switch with 130 and TERM with 0, and both clean up", async (t) => {
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 0],
  ] as const) {
    const shop = new Workshop(t);
    const { running, directory } = await shop.ourSwitch();
    running.child.kill(signal);
    assert.equal(await running.ended, code);
    assert.equal(existsSync(directory), false);
  }
});

test("a second switch on a live directory ends with 255 and says why", async (t) => {
  const shop = new Workshop(t);
  const { directory } = await shop.ourSwitch();
  const second = shop.v2("vde_switch", "-s", directory, "--nostdin");
  assert.equal(await second.ended, 255);
  assert.match(second.errors(), /Address already in use/);
});

test("a killed switch leaves a directory that the next one takes over", async (t) => {
  const shop = new Workshop(t);
  const first = await shop.ourSwitch();
  first.running.child.kill("SIGKILL");
  await first.running.ended;
  assert.ok(existsSync(first.directory));
  const second = await shop.ourSwitch();
  assert.equal(second.running.child.exitCode, null, second.running.errors());
});

test("a killed client's cable and names are gone", async (t) => {
  const shop = new Workshop(t);
  const { directory } = await shop.ourSwitch();
  const plug = shop.v2("plug", directory);
  await until(() => readdirSync(directory).some((name) => name.startsWith("001.")));
  plug.child.kill("SIGKILL");
  await plug.ended;
  await until(() => readdirSync(directory).join(" ") === "ctl");
});

test("a daemon leaves when it is ready, writes its pid file, and ends at TERM", async (t) => {
  const shop = new Workshop(t);
  const words = ["switch", "-s", shop.path("lan"), "-d", "-p", shop.path("pid")];
  const started = spawnSync(process.execPath, [V2, ...words], { encoding: "utf8" });
  assert.equal(started.status, 0, started.stderr);
  assert.ok(existsSync(shop.path("lan/ctl")));
  const pid = Number(readFileSync(shop.path("pid"), "utf8"));
  assert.equal(statSync(shop.path("pid")).mode & 0o777, 0o644);
  process.kill(pid, "SIGTERM");
  await until(() => !existsSync(shop.path("lan")) && !existsSync(shop.path("pid")));
});

test("an existing pid file is kept and ends the start with 1", async (t) => {
  const shop = new Workshop(t);
  spawnSync("touch", [shop.path("pid")]);
  const running = shop.v2("switch", "-s", shop.path("lan"), "-p", shop.path("pid"), "--nostdin");
  assert.equal(await running.ended, 1);
  assert.ok(existsSync(shop.path("pid")));
  assert.equal(existsSync(shop.path("lan")), false);
});

test("modes given are the modes made", async (t) => {
  const shop = new Workshop(t);
  const { directory } = await shop.ourSwitch("-m", "660");
  assert.equal(statSync(directory).mode & 0o7777, 0o2770);
  assert.equal(statSync(`${directory}/ctl`).mode & 0o777, 0o660);
});

test("USR2 prints the state as JSON", async (t) => {
  const shop = new Workshop(t);
  const { running, directory } = await shop.ourSwitch("--json");
  const plug = shop.v2("plug", "--descr", "me", directory);
  await until(() => readdirSync(directory).some((name) => name.startsWith("001.")));
  running.child.kill("SIGUSR2");
  await until(() => running.output().toString().trim().length > 0);
  const state = JSON.parse(running.output().toString()) as {
    cables: { port: number; description: string }[];
  };
  assert.equal(state.cables[0]!.port, 1);
  assert.match(state.cables[0]!.description, /^me user=/);
  plug.child.kill();
});

/** Runs a switch to its end with this on standard input. */
function fed(shop: Workshop, input: string, ...words: string[]): ReturnType<typeof spawnSync> {
  const argv = [V2, "vde_switch", "-s", shop.path("lan"), ...words];
  const home = shop.path("home");
  return spawnSync(process.execPath, argv, {
    input,
    encoding: "utf8",
    env: { ...process.env, HOME: home },
  });
}

test("commands come from standard input, replies without a prompt go to standard output", async () => {
  const shop = new Workshop();
  const { status, stdout, stderr } = fed(shop, "port/create 3\nlogout\nport/setvlan 3");
  assert.equal(stderr, "");
  assert.equal(stdout, "1000 Success\n1022 Invalid argument\n");
  assert.equal(status, 0);
  assert.match(String(fed(shop, "showinfo\n").stdout), /uptime \d+\n\.\n1000 Success\n$/);
  await shop.close();
});

test("shutdown on standard input ends the switch, and nothing behind it is done", async () => {
  const shop = new Workshop();
  const { status, stdout } = fed(shop, "shutdown\nshowinfo\n");
  assert.deepEqual([status, stdout], [0, ""]);
  assert.equal(existsSync(shop.path("lan")), false);
  await shop.close();
});

test("a switch starts with the commands of its file, and says which of them failed", async () => {
  const shop = new Workshop();
  mkdirSync(shop.path("home/.vde2"), { recursive: true });
  writeFileSync(shop.path("home/.vde2/vde_switch.rc"), "# mine\n\nport/create 7\nbogus\n");
  const mine = fed(shop, "port/allprint\n");
  assert.match(String(mine.stdout), /Port 0007/);
  assert.match(String(mine.stderr), /vde_switch\.rc: bogus: Function not implemented/);
  writeFileSync(shop.path("other.rc"), "port/create 8\n");
  const other = fed(shop, "port/allprint\n", "-f", shop.path("other.rc"));
  assert.match(String(other.stdout), /Port 0008/);
  assert.doesNotMatch(String(other.stdout), /Port 0007/);
  const none = fed(shop, "", "-f", "/nosuch");
  assert.equal(none.status, 0);
  assert.match(String(none.stderr), /\/nosuch': No such file or directory/);
  await shop.close();
});

test("wrong options end with 1, a directory that cannot be made with its reason", async () => {
  const shop = new Workshop();
  for (const words of [
    ["-n", "0"],
    ["-n", "x"],
    ["-g", "no-such-group"],
    ["-M", shop.path("m"), "--mgmtgroup", "no-such-group"],
    ["-M", "/nosuch/m"],
    ["--macaddr", "xx"],
    ["--mgmtmode", "9"],
  ]) {
    const { status, stderr } = fed(shop, "", ...words);
    assert.equal(status, 1, `${words.join(" ")}: ${String(stderr)}`);
    assert.notEqual(stderr, "");
    assert.equal(existsSync(shop.path("lan")), false);
  }
  await shop.close();
});

test("a daemon's console is its management socket; shutdown there ends it", async () => {
  const shop = new Workshop();
  const mgmt = shop.path("mgmt");
  const { status } = fed(shop, "", "-d", "-M", mgmt, "--mgmtmode", "660", "-p", shop.path("pid"));
  assert.equal(status, 0);
  assert.equal(statSync(mgmt).mode & 0o777, 0o660);
  const { client } = await MgmtClient.open(mgmt);
  assert.match(await client.ask("showinfo"), /mgmt .*mgmt perm 0660/);
  assert.equal(await client.ask("shutdown"), "9999 END OF SESSION");
  await until(
    () => !existsSync(mgmt) && !existsSync(shop.path("pid")) && !existsSync(shop.path("lan")),
  );
  await shop.close();
});
