import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ERRNO, fromHex } from "../base/index.ts";
import {
  IP_LOG_ADDRESSES_MAX,
  type PluginFrame,
  type PluginPort,
  type SwitchPlugin,
} from "../vde/index.ts";
import { makeIpLog } from "./plugin-iplog.ts";

/** The plugin at a port of somebody, and the events it told. */
function atPort(who: PluginPort): { plugin: SwitchPlugin; told: string[] } {
  const told: string[] = [];
  const plugin = makeIpLog({
    management: undefined as never,
    watchFrames: async () => undefined,
    tell: (category, text) => told.push(`${category} ${text}`),
    isHeard: () => true,
    port: () => who,
    log: () => undefined,
  });
  return { plugin, told };
}

/** Runs a command. @returns its lines, or the errno. */
function run(plugin: SwitchPlugin, path: string, argument = ""): number | string[] {
  const lines: string[] = [];
  const command = plugin.commands.find((known) => known.path === `iplog/${path}`);
  const error = command!.run!(argument, (line) => lines.push(line));
  return error === 0 ? lines : (error as number);
}

function packet(source: number, timeMs = Date.now()): PluginFrame {
  const address = source.toString(16).padStart(8, "0");
  const octets = `ffffffffffff0200000000010800450000280000000040110000${address}0a000002`;
  return { direction: "in", port: 3, vlan: 7, octets: fromHex(octets)!, timeMs };
}

test("a port of nobody shows (none), and no description", () => {
  const { plugin, told } = atPort({ user: undefined, description: "" });
  run(plugin, "ipadd", "10.0.0.0/8");
  plugin.frame!(packet(0x0a000001));
  plugin.frame!({ ...packet(0x0a000002), direction: "out" });
  assert.deepEqual(told, [
    "iplog/newip ipv4 10.0.0.1 mac=02:00:00:00:00:01 port=3 vlan=7 user=(none)",
  ]);
  assert.deepEqual(run(plugin, "ipport", "3"), ["ipv4 10.0.0.1 port=3 user=(none)"]);
});

test("a log file is appended to, and a new one that cannot be opened leaves the old", () => {
  const place = mkdtempSync(join(tmpdir(), "v2-iplog-"));
  const path = join(place, "log");
  for (const address of [0x0a000001, 0x0a000002]) {
    const { plugin } = atPort({ user: "me", description: "my plug" });
    run(plugin, "ipadd", "10.0.0.0/8");
    assert.deepEqual(run(plugin, "logfile", path), []);
    assert.equal(run(plugin, "logfile", join(place, "no", "log")), ERRNO.ENOENT);
    assert.equal(run(plugin, "logfile", place), ERRNO.EISDIR);
    plugin.frame!(packet(address, new Date(2026, 10, 5, 1, 2, 3).getTime()));
    void plugin.close!();
  }
  const line = (n: number): string =>
    `Nov  5 01:02:03 ipv4 10.0.0.${n} mac=02:00:00:00:00:01 port=3 vlan=7 user=me "my plug"\n`;
  assert.equal(readFileSync(path, "utf8"), line(1) + line(2));
  rmSync(place, { recursive: true });
});

test("addresses that were refused are told", () => {
  const { plugin } = atPort({ user: "me", description: "" });
  run(plugin, "ipadd", "10.0.0.0/8");
  for (let i = 0; i <= IP_LOG_ADDRESSES_MAX; i++) plugin.frame!(packet(0x0a000000 + i));
  assert.equal((run(plugin, "showinfo") as string[]).at(-1), "1 addresses refused");
});
