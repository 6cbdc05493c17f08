/**
 * `v2 extcap`: the switches of this machine as interfaces of Wireshark, by its protocol for
 * external captures (extcap(4)): the program is asked for interfaces, link types and options on its
 * command line, and writes a capture into a FIFO.
 */
import { mkdirSync, rmSync, symlinkSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { EXIT, V2Error } from "../base/index.ts";
import { runningSwitches } from "../plugs/index.ts";
import { PORTS_MAX } from "../vde/index.ts";
import { captureInsideUntilSignal, captureUntilSignal, scopeOf } from "./capture.ts";
import type { Invocation } from "./command.ts";
import { print } from "./output.ts";
import { version } from "./version.ts";

/** In front of a switch's directory, so that its name is told from those of the kernel. */
const PREFIX = "vde:";
/** LINKTYPE_ETHERNET. */
const ETHERNET = 1;
/** The name by which Wireshark starts this program (table-vde-capture.ts). */
const PROGRAM = "v2-extcap";
/** Why a switch is plugged into instead: it cannot capture, does not answer, or not to us. */
const INCAPABLE: readonly string[] = ["NO_CAPTURES", "NO_CONSOLE", "NO_ANSWER", "EACCES", "EPERM"];

export async function run({ options }: Invocation): Promise<number> {
  const name = options["extcap-interface"] as string | undefined;
  if (options["install"] === true) return install();
  if (options["extcap-interfaces"] === true) print(interfaces());
  else if (options["extcap-dlts"] === true) print(linkTypes(name));
  else if (options["extcap-config"] === true) print(configuration());
  else if (options["capture"] === true) return await capture(name, options);
  else {
    throw new V2Error("USAGE", "extcap: Wireshark runs this program", {
      remedy: "make it known with: v2 extcap --install",
      exitCode: EXIT.usage,
    });
  }
  return EXIT.ok;
}

/** One sentence: the program, then its interfaces. */
function interfaces(): string {
  const switches = runningSwitches().map(({ directory }) =>
    sentence("interface", { value: PREFIX + directory, display: `VDE switch ${directory}` }),
  );
  return sentence("extcap", { version: version(), display: "Virtual Square" }) + switches.join("");
}

function linkTypes(name: string | undefined): string {
  directoryOf(name);
  return sentence("dlt", { number: String(ETHERNET), name: "EN10MB", display: "Ethernet" });
}

function configuration(): string {
  const port = sentence("arg", {
    number: "0",
    call: "--port",
    display: "Port of the switch",
    tooltip: "0: all ports. A switch that does not capture itself: what reaches a new cable there.",
    type: "integer",
    range: `0,${PORTS_MAX}`,
    default: "0",
  });
  const vlan = sentence("arg", {
    number: "1",
    call: "--vlan",
    display: "VLAN of the switch",
    tooltip: "Its number; empty: all. Not together with a port.",
    type: "string",
  });
  const direction = sentence("arg", {
    number: "2",
    call: "--direction",
    display: "Direction",
    tooltip: "Of the switch. All ports: what enters is every frame once.",
    type: "selector",
  });
  const values = [
    ["", "as usual"],
    ["in", "what enters"],
    ["out", "what leaves"],
    ["both", "both"],
  ].map(([value = "", display = ""], i) =>
    sentence("value", { arg: "2", value, display, default: String(i === 0) }),
  );
  return port + vlan + direction + values.join("");
}

async function capture(name: string | undefined, options: Invocation["options"]): Promise<number> {
  const directory = directoryOf(name);
  const fifo = options["fifo"] as string | undefined;
  const port = Number(options["port"] ?? 0);
  if (fifo === undefined || !Number.isInteger(port) || port < 0 || port > PORTS_MAX) {
    throw new V2Error("USAGE", "extcap: --capture needs --fifo FILE and a --port that exists", {
      exitCode: EXIT.usage,
    });
  }
  const inside = consoleOf(directory);
  if (inside !== undefined) {
    const scope = scopeOf({
      ...options,
      port: port === 0 ? "" : String(port),
      all: port === 0 && (options["vlan"] ?? "") === "",
    })!;
    try {
      return await captureInsideUntilSignal({ console: inside, scope, target: fifo });
    } catch (error) {
      if (!(error instanceof V2Error) || !INCAPABLE.includes(error.code)) throw error;
    }
  }
  if ((options["vlan"] ?? "") !== "" || (options["direction"] ?? "") !== "") {
    throw new V2Error("NO_CAPTURES", `the switch in '${directory}' captures nothing itself`, {
      remedy: "choose no VLAN and no direction, or start it as: v2 switch --mgmt SOCKET",
      exitCode: EXIT.unavailable,
    });
  }
  const vnl = port === 0 ? `vde://${directory}` : `vde://${directory}[${port}]`;
  return await captureUntilSignal({ vnl, target: fifo });
}

/** The management socket of a switch; undefined: it has none, or not for this user. */
function consoleOf(directory: string): string | undefined {
  return runningSwitches().find((one) => one.directory === directory)?.consoles[0];
}

function directoryOf(name: string | undefined): string {
  if (name?.startsWith(PREFIX) === true) return name.slice(PREFIX.length);
  throw new V2Error("NO_INTERFACE", `extcap: no interface '${name ?? ""}'`, {
    remedy: "see: v2 extcap --extcap-interfaces",
    exitCode: EXIT.notFound,
  });
}

/** "word {key=value}{key=value}"; a closing brace would end a value. */
function sentence(word: string, values: { readonly [key: string]: string }): string {
  const parts = Object.entries(values).map(
    // oxlint-disable-next-line no-control-regex -- a name in the file system may hold any of these
    ([key, value]) => `{${key}=${value.replace(/[{}\u0000-\u001f]/g, "?")}}`,
  );
  return `${word} ${parts.join("")}\n`;
}

/**
 * Puts links where Wireshark looks for the programs of a user: first the place of version 4.1 and
 * later, then that of the versions before.
 */
function install(): number {
  const target = fileURLToPath(new URL("./main.js", import.meta.url));
  const settings = process.env["XDG_CONFIG_HOME"] ?? join(homedir(), ".config");
  for (const folder of [join(homedir(), ".local/lib"), settings]) {
    const link = join(folder, "wireshark/extcap", PROGRAM);
    mkdirSync(dirname(link), { recursive: true });
    rmSync(link, { force: true });
    symlinkSync(target, link);
    print(`${link}\n`);
  }
  return EXIT.ok;
}
