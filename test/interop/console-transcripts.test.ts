/**
 * The console against Debian's vde_switch: the same script on both at the same time, compared byte
 * for byte. Where they differ on purpose a row of DIFFERENCES says how and why; a row that is not
 * needed fails. docs/vde-switch.md tells the user of each.
 */
// time limit: 120 s
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Reply, type Step, transcript } from "./console-peers.ts";
import { CABLES, GENERAL, PORTS, TREE } from "./console-scripts.ts";
import { ADDRESSES, DUMP, IPLOG, IPLOG_AGAIN, PDUMP, PLUGINS } from "./plugin-scripts.ts";
import { has } from "./vde-peers.ts";

interface Difference {
  /** The steps whose replies differ. */
  readonly step: RegExp;
  readonly why: string;
  /** Makes of Debian's reply what ours must be. */
  readonly ours: (debian: string) => string;
}

const LATER_ROWS =
  "port/defqlen       LEN             set the default queue length for new ports\n" +
  "port/epqlen        N ID LEN        set the lenth of the queue for port N/id IP\n";
const SUSPEND_ROW = "port/suspend       N 0/1           stop all traffic of the port N 1=Y 0=N\n";

const DATA_ROWS =
  "json               [what]          the switch as JSON: " +
  "all, or info ports vlans stations fstp mirrors captures impairments\n" +
  "metrics                            counters as Prometheus text\n";

const PORT_ROWS =
  "port/mirror        N TARGET [DIR]  copy what passes the port N (in, out, both) to the port " +
  "TARGET\n" +
  "port/unmirror      N [TARGET]      copy the port N no longer\n";
const VLAN_ROWS =
  "vlan/mirror        N TARGET [DIR]  copy what passes in the VLAN N (in, out, both) to the port " +
  "TARGET\n" +
  "vlan/unmirror      N [TARGET]      copy the VLAN N no longer\n";
const CAPTURE_ROWS =
  "mirror/list                        list the mirrors and what they copied\n" +
  "capture/start      FILE [WHAT]     capture to a file or FIFO: port N or vlan N; in, out or " +
  "both; once\n" +
  "capture/stop       ID              end a capture\n" +
  "capture/list                       list the captures and what they wrote\n";
const IMPAIR_ROW =
  "port/impair        N WHAT          impair the cables of the port N: delay=MS loss=PERCENT " +
  "seed=N, or none\n";
const IMPAIR_LIST_ROW =
  "impair/list                        list the impaired ports and what was lost\n";
const IMPAIR_ROWS = `${IMPAIR_ROW}${IMPAIR_LIST_ROW}`;
const OUR_ROWS = `${DATA_ROWS}${PORT_ROWS}${VLAN_ROWS}${CAPTURE_ROWS}${IMPAIR_ROWS}`;
/** Of an address that a tagged frame showed. */
const tagless = (text: string): string => text.replace(/mac=00:04:81:00:.{5}/g, `mac=${STATION_4}`);
const STATION_4 = "02:00:00:00:00:04";

const DIFFERENCES: readonly Difference[] = [
  {
    step: /^help$/,
    why: "two commands of later versions of vde_switch, and our own",
    ours: (text) =>
      text
        .replace("port/resetcounter ", `${LATER_ROWS}port/resetcounter `)
        .replace("port/print ", `${SUSPEND_ROW}port/print `)
        .replace(/(vlan\/delport .*)add port to the/, "$1delete port from the")
        .replace(/\n(?=\.\n|pdump )/, `\n${OUR_ROWS}`),
  },
  {
    step: /^help port$/,
    why: "two commands of later versions and our own",
    ours: (text) =>
      text
        .replace("port/resetcounter ", `${LATER_ROWS}port/resetcounter `)
        .replace("port/print ", `${SUSPEND_ROW}port/print `)
        .replace("\n.\n", `\n${PORT_ROWS}${IMPAIR_ROW}.\n`),
  },
  {
    step: /^help vlan$/,
    why: "Debian's help of vlan/delport says that it adds; and our own",
    ours: (text) =>
      text
        .replace(/(vlan\/delport .*)add port to the/, "$1delete port from the")
        .replace("\n.\n", `\n${VLAN_ROWS}.\n`),
  },
  {
    step: /^load PLACE$/,
    why: "a directory is no file of commands",
    ours: (text) => text.replace("1000 Success", "1021 Is a directory"),
  },
  {
    step: /AAAA/,
    why: "a line is one command, not one for each 128 octets",
    ours: (text) => text.slice(text.length / 2),
  },
  {
    step: /^{"raw":"showinfo\\nds/,
    why: "two lines in one write are two commands",
    ours: (text) =>
      `${text}0000 DATA END WITH '.'\nctl dir PLACE/lan\nstd mode 0600\n.\n1000 Success\n\nvde$ `,
  },
  {
    step: /^load PLACE\/rc3$/,
    why: "an empty line of a file is no unknown command",
    ours: (text) => text.replace("\n\n1038 Function not implemented\n", "\n"),
  },
  {
    step: /^port\/(create|remove) 32$/,
    why: "the highest port is N, as in later versions, not N-1",
    ours: (text) => text.replace("1022 Invalid argument", "1000 Success"),
  },
  {
    step: /^port\/defqlen 5$/,
    why: "a command of later versions",
    ours: (text) => text.replace("1038 Function not implemented", "1000 Success"),
  },
  {
    step: /^port\/epqlen 1 1 1$/,
    why: "a command of later versions",
    ours: (text) => text.replace("1038 Function not implemented", "1006 No such device or address"),
  },
  {
    step: /^hash\/find/,
    why: "Debian prints the number of the next port",
    ours: (text) =>
      text.replace(/to port: (\d+)/, (_, port) => {
        return `to port: ${String(Number(port) - 1).padStart(3, "0")}`;
      }),
  },
  {
    step: /^vlan\/remove 0$/,
    why: "without VLAN 0 Debian's switch crashes when the next port is made",
    ours: (text) => text.replace("1000 Success", "1098 Address already in use"),
  },
  {
    step: /^iplog\/logfile \/tmp$/,
    why: "a directory is there, and is no file",
    ours: (text) => text.replace("1002 No such file or directory", "1021 Is a directory"),
  },
  {
    step: /^iplog\/logfile -$/,
    why: "no syslog",
    ours: (text) => text.replace("1000 Success", "1095 Operation not supported"),
  },
  {
    step: /^{"send":"a","frame":"f{12}020{9}481/,
    why: "Debian takes a tag for part of the address",
    ours: tagless,
  },
  {
    step: /^{"send":"b","frame":"f{12}020{9}5080045.*0a0000160a/,
    why: "Debian tells VLAN 0 of every untagged frame, whatever the VLAN of its port",
    ours: (text) => text.replace("port=2 vlan=0", "port=2 vlan=6"),
  },
  {
    step: /^{"show":"log"}$/,
    why: "as above, in the file",
    ours: (text) => tagless(text).replace(/(10\.0\.0\.22 .* vlan=)0/, (_, before) => `${before}6`),
  },
];

/** Runs a script on both. @returns the rows that were needed. */
async function compare(script: readonly Step[]): Promise<Set<Difference>> {
  const [debian, ours] = await Promise.all([
    transcript("debian", script),
    transcript("ours", script),
  ]);
  assert.equal(ours.length, script.length + 1);
  const used = new Set<Difference>();
  const problems: string[] = [];
  for (const [i, expected] of debian.entries()) {
    const actual = ours[i]!.text;
    if (actual === expected.text) continue;
    const row = DIFFERENCES.find(({ step }) => step.test(expected.step));
    if (row !== undefined && row.ours(expected.text) === actual) used.add(row);
    else problems.push(describe(expected, actual));
  }
  assert.equal(problems.join("\n"), "");
  return used;
}

function describe({ step, text }: Reply, ours: string): string {
  return `step: ${step}\nDebian:\n${text}\nours:\n${ours}`;
}

test("the console answers every command as Debian's, but for the differences that are listed", async (t) => {
  if (!has("vde_switch")) return t.skip("needs vde_switch: apt install vde2");
  if (!has("vde_plug")) return t.skip("needs vde_plug: apt install vdeplug");
  const used = new Set<Difference>();
  const plugins = [PLUGINS, DUMP, PDUMP, IPLOG, IPLOG_AGAIN, ADDRESSES];
  for (const script of [GENERAL, PORTS, CABLES, TREE, ["vlan/remove 0"], ...plugins]) {
    for (const row of await compare(script)) used.add(row);
  }
  const unused = DIFFERENCES.filter((row) => !used.has(row)).map(({ why }) => why);
  assert.deepEqual(unused, [], "differences that are none");
});

test("the scripts give every command of Debian's help, right and wrong", async (t) => {
  if (!has("vde_switch")) return t.skip("needs vde_switch: apt install vde2");
  const [, help] = await transcript("debian", ["help"]);
  // A row is "PATH(18) SYNTAX(15) HELP"; menus have ============ for syntax.
  const rows = help!.text
    .split("\n")
    .map((row) => [row.slice(0, 18).trim(), row.slice(19, 34).trim()] as const)
    .filter(([path, syntax]) => /^[a-z]+(?:\/[a-z]+)?$/.test(path) && !syntax.startsWith("="));
  const commands = rows.map(([path]) => path);
  assert.ok(commands.length >= 40, commands.join(" "));
  const lines = [...GENERAL, ...PORTS, ...CABLES, ...TREE].filter((s) => typeof s === "string");
  // Of those that take an argument two different ones; `shutdown` has a test of its own.
  const rare = rows.filter(([path, syntax]) => {
    const uses = new Set(lines.filter((line) => line === path || line.startsWith(`${path} `)));
    return uses.size < (syntax === "" ? 1 : 2) && path !== "shutdown";
  });
  assert.deepEqual(
    rare.map(([path]) => path),
    [],
  );
});

test("shutdown ends both switches with 9999 and nothing behind it", async (t) => {
  if (!has("vde_switch")) return t.skip("needs vde_switch: apt install vde2");
  await compare(["shutdown"]);
  const [, end] = await transcript("ours", ["shutdown"]);
  assert.equal(end!.text, "9999 END OF SESSION");
});

test("both show what they were started with: hub, sizes, address, priority, modes", async (t) => {
  if (!has("vde_switch")) return t.skip("needs vde_switch: apt install vde2");
  const options = ["-x", "-n", "7", "--hashsize", "100", "--macaddr", "2.1.2.3.4.5"];
  const more = ["--priority", "100", "-m", "660", "--mgmtmode", "660"];
  const script = ["showinfo", "ds/showinfo", "hash/showinfo", "port/showinfo", "fstp/showinfo"];
  const [debian, ours] = await Promise.all([
    transcript("debian", [...script, "fstp/print"], [...options, ...more]),
    transcript("ours", [...script, "fstp/print"], [...options, ...more]),
  ]);
  assert.deepEqual(ours, debian);
});
