/** vdeterm and switch top in a real terminal. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { managedSwitch, oursHasConsole, type SwitchKind, Terminal } from "./vde-consoles.ts";
import { broadcast, framed, has, V2, Workshop } from "./vde-peers.ts";

const NEEDS = "needs tmux and vde_switch: apt install tmux vde2";
const KINDS: readonly SwitchKind[] = oursHasConsole() ? ["debian", "ours"] : ["debian"];
const V2_COMMAND = `${process.execPath} ${V2}`;
const isMissing = (): boolean => !has("tmux") || !has("vde_switch");

for (const kind of KINDS) {
  test(`a debug line of ${kind} appears above a half-typed command, which stays`, async (t) => {
    if (isMissing()) return t.skip(NEEDS);
    const shop = new Workshop(t);
    const { console, directory } = await managedSwitch(shop, kind);
    const terminal = new Terminal(t, `${V2_COMMAND} vdeterm ${console}`, {
      columns: 200,
      rows: 24,
    });
    const prompt = `vde[${console}]:`;
    await terminal.shows((lines) => lines.at(-1) === prompt);
    terminal.type("debug/add port/ep");
    terminal.press("Enter");
    await terminal.shows((lines) => lines.at(-1) === prompt && lines.at(-2) === "Success");
    // The cursor stands in the middle of the line.
    terminal.type("ds/info");
    terminal.press("Left", "Left", "Left", "Left");
    await terminal.shows((lines) => lines.at(-1) === `${prompt} ds/info`);
    shop.v2("plug", directory);
    const lines = await terminal.shows((all) => all.some((line) => line.startsWith("** DBG MSG")));
    assert.match(lines.at(-2)!, /^\*\* DBG MSG: port\/ep\/\+ Port 01 FD +\d+$/);
    assert.equal(lines.at(-1), `${prompt} ds/info`);
    assert.equal(lines.filter((line) => line.includes("ds/info")).length, 1);
    terminal.type("show");
    terminal.press("Enter");
    await terminal.shows((all) => all.includes(`ctl dir ${directory}`));
  });

  test(`a debug line of ${kind} leaves a command of several rows whole`, async (t) => {
    if (isMissing()) return t.skip(NEEDS);
    const shop = new Workshop(t);
    const { console, directory } = await managedSwitch(shop, kind);
    const terminal = new Terminal(t, `${V2_COMMAND} vdeterm ${console}`, {
      columns: 60,
      rows: 12,
    });
    await terminal.shows((lines) => lines.at(-1)!.endsWith("]:"));
    terminal.type("debug/add port/descr");
    terminal.press("Enter");
    await terminal.shows((lines) => lines.includes("Success"));
    const typed = `# ${"0123456789".repeat(12)}`;
    terminal.type(typed);
    const isWhole = (lines: readonly string[]): boolean => lines.join("").endsWith(typed);
    await terminal.shows(isWhole);
    const plugs = [
      shop.v2("plug", "-D", "one", directory),
      shop.v2("plug", "-D", "two", directory),
    ];
    await terminal.shows(
      (lines) => lines.filter((line) => line.startsWith("** DBG MSG")).length === 2,
    );
    const lines = await terminal.shows(isWhole);
    assert.equal(lines.join("").split(typed).length, 2, "it is on the screen once");
    assert.equal(plugs.length, 2);
  });

  test(`vdeterm completes what ${kind} understands, and remembers what was typed`, async (t) => {
    if (isMissing()) return t.skip(NEEDS);
    const shop = new Workshop(t);
    const { console } = await managedSwitch(shop, kind);
    const terminal = new Terminal(t, `${V2_COMMAND} vdeterm ${console}; echo left $?; cat`, {
      columns: 120,
      rows: 30,
    });
    const prompt = `vde[${console}]:`;
    await terminal.shows((lines) => lines.at(-1) === prompt);
    terminal.type("ha");
    terminal.press("Tab");
    await terminal.shows((lines) => lines.at(-1) === `${prompt} hash/`);
    terminal.type("show");
    terminal.press("Tab");
    await terminal.shows((lines) => lines.at(-1) === `${prompt} hash/showinfo`);
    terminal.press("Enter");
    await terminal.shows((lines) => lines.at(-1) === prompt && lines.at(-2) === "Success");
    terminal.press("Up");
    await terminal.shows((lines) => lines.at(-1) === `${prompt} hash/showinfo`);
    terminal.press("C-u", "C-d");
    await terminal.shows((lines) => lines.at(-1) === "left 0");
  });

  test(`Debian's own vdeterm asks, completes and hears events on ${kind}`, async (t) => {
    if (isMissing() || !has("vdeterm")) return t.skip(NEEDS);
    const shop = new Workshop(t);
    const { console, directory } = await managedSwitch(shop, kind);
    const terminal = new Terminal(t, `vdeterm ${console}; echo left $?; cat`, {
      columns: 120,
      rows: 30,
    });
    const prompt = `vde[${console}]:`;
    await terminal.shows((lines) => lines.at(-1) === prompt);
    terminal.type("ds/sh");
    terminal.press("Tab", "Enter");
    await terminal.shows((lines) => lines.includes(`ctl dir ${directory}`));
    terminal.type("debug/add port/+");
    terminal.press("Enter");
    await terminal.shows((lines) => lines.at(-1) === prompt && lines.at(-2) === "Success");
    shop.v2("plug", directory);
    await terminal.shows((lines) => lines.some((line) => line.includes("port/+ 01")));
    terminal.type("logout");
    terminal.press("Enter");
    await terminal.shows((lines) => lines.at(-1)!.startsWith("left "));
  });

  test(`vdeterm ends with the session of ${kind}`, async (t) => {
    if (isMissing()) return t.skip(NEEDS);
    const shop = new Workshop(t);
    const { console } = await managedSwitch(shop, kind);
    const terminal = new Terminal(t, `${V2_COMMAND} vdeterm ${console}; echo left $?; cat`);
    await terminal.shows((lines) => lines.join("").endsWith("]:"));
    terminal.type("logout");
    terminal.press("Enter");
    await terminal.shows((lines) => lines.at(-1) === "left 0");
  });

  test(`switch top draws ${kind} anew at a resize and leaves the terminal as it was`, async (t) => {
    if (isMissing()) return t.skip(NEEDS);
    const shop = new Workshop(t);
    const { console, directory } = await managedSwitch(shop, kind);
    const plug = shop.v2("plug", "-D", "a long description of a cable", directory);
    const timer = setInterval(() => plug.child.stdin!.write(framed(broadcast(100))), 20);
    t.after(() => clearInterval(timer));
    const command = `echo before; ${V2_COMMAND} switch top -i 0.1 ${console}; echo left $?; cat`;
    const terminal = new Terminal(t, command, { columns: 120, rows: 20 });
    const hasPort = (lines: readonly string[]): boolean =>
      lines.some((line) => /^ +1 +0 +[1-9]\d* /.test(line));
    const wide = await terminal.shows(hasPort);
    assert.ok(wide.some((line) => line.includes("a long description of a cable")));
    assert.ok(!wide.includes("before"));
    terminal.resize(45, 5);
    const small = await terminal.shows((lines) => lines.length <= 5 && hasPort(lines));
    assert.ok(small.every((line) => line.length <= 45));
    terminal.resize(100, 20);
    await terminal.shows((lines) => lines.some((line) => line.includes("a long description")));
    terminal.type("q");
    const after = await terminal.shows((lines) => lines.at(-1) === "left 0");
    assert.ok(after.includes("before"));
  });
}
