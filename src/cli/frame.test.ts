/** The frame of the commands: finding, help, completion, manual pages, links. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import type { CommandSpec } from "./command.ts";
import { completionScript } from "./complete.ts";
import { findCommand, nearestCommand } from "./find.ts";
import { commandHelp, nounHelp, overviewHelp } from "./help.ts";
import { makeLinks } from "./links.ts";
import { manualPage } from "./man.ts";
import { editDistance, nearest } from "./nearest.ts";
import { columns, wrap } from "./output.ts";
import { COMMANDS } from "./table.ts";

const load = () => Promise.reject(new Error("not loaded here"));
const TABLE: readonly CommandSpec[] = [
  {
    name: "switch",
    aliases: ["vde_switch"],
    group: "Networks",
    summary: "Run a switch",
    usage: "--sock DIR [--tap NAME]…",
    options: {
      sock: { type: "string", short: "s", value: "DIR", help: "Where it listens" },
      tap: { type: "string", multiple: true, value: "NAME", help: "A TAP interface's name" },
      hub: { type: "boolean", short: "x", help: "Be a hub" },
    },
    examples: [["v2 switch --sock /tmp/lan", "a switch in /tmp/lan"]],
    details: ["-.' are signs that roff would take for its own."],
    load,
  },
  { name: "lab up", summary: "Start", usage: "FILE", options: {}, examples: [], load },
  { name: "lab down", summary: "Stop", usage: "FILE", options: {}, examples: [], load },
];
const MAIN = fileURLToPath(new URL("./main.js", import.meta.url));

function v2(...words: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [MAIN, ...words], { encoding: "utf8" });
}

test("a command is found by its name, by two words, and by a historical name", () => {
  assert.equal(findCommand(TABLE, ["switch", "x"])?.command.name, "switch");
  assert.equal(findCommand(TABLE, ["vde_switch"])?.command.name, "switch");
  assert.deepEqual(findCommand(TABLE, ["lab", "up", "f"])?.taken, 2);
  assert.equal(findCommand(TABLE, ["lab"]), undefined);
});

test("a slip in a command's name finds the name that was meant", () => {
  assert.equal(nearestCommand(TABLE, ["swich"]), "switch");
  assert.equal(nearestCommand(TABLE, ["lab", "upp"]), "lab up");
  assert.equal(nearestCommand(TABLE, ["zebra"]), undefined);
});

test("the distance of two words counts inserted, deleted, replaced and swapped letters", () => {
  assert.equal(editDistance("", "abc"), 3);
  assert.equal(editDistance("sock", "sokc"), 1);
  assert.equal(editDistance("kitten", "sitting"), 3);
  assert.equal(nearest("x", ["abcdef"]), undefined);
});

test("help shows examples before usage and options", () => {
  const text = commandHelp(TABLE[0]!, "switch");
  assert.ok(text.indexOf("Examples:") < text.indexOf("Usage:"));
  assert.ok(text.indexOf("Usage:") < text.indexOf("Options:"));
  assert.match(text, /-s, --sock DIR {2,}Where it listens/);
  assert.match(text, /--tap NAME .*\(may be given several times\)/);
});

test("help under a historical name shows that name in the usage line", () => {
  assert.match(commandHelp(TABLE[0]!, "vde_switch"), /^ {2}vde_switch --sock DIR/m);
});

test("the overview lists every command under its group", () => {
  const text = overviewHelp(TABLE);
  assert.match(text, /\nNetworks:\n {2}switch {2,}Run a switch\n/);
  assert.match(text, /\nOther:\n {2}lab up /);
});

test("a noun without a verb shows its verbs", () => {
  assert.match(nounHelp("lab", TABLE.slice(1)), /lab up +Start\n +lab down +Stop/);
});

test("the bash script is accepted by bash and completes names, verbs and options", (t) => {
  if (spawnSync("bash", ["-c", ":"]).status !== 0) {
    t.skip("needs bash: apt install bash");
    return;
  }
  const complete = (...words: string[]): string[] => {
    const line = words.map((word) => `'${word}'`).join(" ");
    const script = `${completionScript("bash", TABLE)}
      COMP_WORDS=(${line}); COMP_CWORD=${words.length - 1}; _v2; echo "\${COMPREPLY[*]}"`;
    const result = spawnSync("bash", ["--norc", "-c", script], { encoding: "utf8", cwd: "/" });
    assert.equal(result.stderr, "");
    return result.stdout.trim().split(" ");
  };
  assert.deepEqual(complete("v2", "sw"), ["switch"]);
  assert.deepEqual(complete("v2", "switch", "--s"), ["--sock"]);
  assert.deepEqual(complete("vde_switch", "--h"), ["--hub", "--help"]);
  assert.deepEqual(complete("v2", "lab", "d").slice(0, 1), ["down"]);
  assert.deepEqual(complete("v2", "switch", "--sock", "/et"), ["/etc"]);
  assert.deepEqual(complete("v2", "switch", "--tap", "/et"), [""]);
});

test("the zsh and fish scripts name every command and option, with quotes made safe", () => {
  for (const shell of ["zsh", "fish"]) {
    const script = completionScript(shell, TABLE);
    for (const word of ["switch", "lab", "up", "sock", "hub"]) assert.ok(script.includes(word));
    assert.ok(script.includes("interface'\\''s name"), shell);
  }
});

test("an unknown shell is refused with the one that was meant", () => {
  assert.throws(() => completionScript("bsh", TABLE), { code: "SHELL_UNKNOWN" });
  assert.throws(() => completionScript("constructor", TABLE), { code: "SHELL_UNKNOWN" });
});

test("a manual page has the sections in order and no text that roff takes for a request", () => {
  const page = manualPage(TABLE[0]!, "vde_switch", "1.2.3");
  const sections = [...page.matchAll(/^\.SH (.*)$/gm)].map((match) => match[1]);
  assert.deepEqual(sections, [
    "NAME",
    "SYNOPSIS",
    "DESCRIPTION",
    "OPTIONS",
    "EXAMPLES",
    "EXIT STATUS",
    "OTHER NAMES",
  ]);
  for (const line of page.split("\n")) {
    if (line.startsWith(".")) assert.match(line, /^\.(TH|SH|TP|PP|B)\b/);
  }
});

test("manual pages have no sign that man(1) cannot show in the C locale", () => {
  for (const command of COMMANDS) {
    const strange = /[^\n -~]/.exec(manualPage(command, `v2-${command.name}`, "1.2.3"));
    assert.equal(strange, null, command.name);
  }
});

test("the mount commands of a view have links of their own", () => {
  const names = COMMANDS.flatMap((command) => command.aliases ?? []);
  for (const name of ["vumount", "vuumount"]) assert.ok(names.includes(name), name);
});

test("links are made once, kept the second time, and never replace a stranger", () => {
  const folder = mkdtempSync(join(tmpdir(), "v2-links-"));
  try {
    writeFileSync(join(folder, "vde_switch"), "mine");
    assert.deepEqual(makeLinks(folder, TABLE, MAIN), [
      { name: "v2", state: "made" },
      { name: "vde_switch", state: "refused" },
    ]);
    assert.equal(readlinkSync(join(folder, "v2")), MAIN);
    assert.equal(makeLinks(folder, TABLE, MAIN)[0]!.state, "kept");
    rmSync(join(folder, "v2"));
    symlinkSync("/old/build/src/cli/main.js", join(folder, "v2"));
    assert.equal(makeLinks(folder, TABLE, MAIN)[0]!.state, "made");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("the native launcher takes the place of our link, and of no stranger's program", () => {
  const folder = mkdtempSync(join(tmpdir(), "v2-links-"));
  const image = new TextEncoder().encode("an executable that names /old/build/src/cli/main.js");
  const state = (launcher: Uint8Array): string =>
    makeLinks(folder, TABLE, MAIN, launcher)[0]!.state;
  try {
    symlinkSync(MAIN, join(folder, "v2"));
    assert.equal(state(image), "made");
    assert.deepEqual(readFileSync(join(folder, "v2")), Buffer.from(image));
    assert.equal(state(image), "kept");
    assert.equal(state(new TextEncoder().encode("another one with /src/cli/main.js")), "made");
    writeFileSync(join(folder, "v2"), "mine");
    assert.equal(state(image), "refused");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("columns line up and text wraps at spaces", () => {
  assert.equal(
    columns(
      [
        ["a", "b"],
        ["long", "c"],
      ],
      1,
    ),
    " a     b\n long  c\n",
  );
  assert.deepEqual(wrap("one two three", 7), ["one two", "three"]);
});

test("every command of the table has a unique name, and each line of help fits a terminal", () => {
  const names = COMMANDS.flatMap((command) => [command.name, ...(command.aliases ?? [])]);
  assert.equal(new Set(names).size, names.length);
  for (const command of COMMANDS) {
    assert.ok(command.examples.length > 0, `${command.name} has no example`);
    const letters = Object.values(command.options).flatMap((spec) => spec.short ?? []);
    assert.equal(new Set(letters).size, letters.length, `${command.name}: short options`);
    assert.ok(commandHelp(command, command.name).length > 0);
  }
});

test("every command's code can be loaded and has a run function", async () => {
  for (const command of COMMANDS) {
    assert.equal(typeof (await command.load()).run, "function", command.name);
  }
});

test("the program answers --version, --help and mistakes with the documented exit codes", () => {
  assert.match(v2("--version").stdout, /^v2 \d+\.\d+\.\d+\n$/);
  const help = v2("--help");
  assert.equal(help.status, 0);
  assert.match(help.stdout, /completion/);
  const slip = v2("linsk");
  assert.equal(slip.status, 2);
  assert.match(slip.stderr, /did you mean 'v2 links'\?/);
  assert.equal(slip.stdout, "");
  const option = v2("links", "--jsno");
  assert.equal(option.status, 2);
  assert.match(option.stderr, /did you mean '--json'\?/);
  assert.equal(v2("man", "zebra").status, 3);
});
