/** `vuname`: what uname(1) says, and which view this is. */
import { hostname, machine, release, type, version } from "node:os";
import { EXIT, V2Error } from "../base/index.ts";
import { controlOfOwnView, openControl, type ViewNames } from "../engine/index.ts";
import type { Invocation } from "./command.ts";
import { print, printJson } from "./output.ts";

/** Everything that can be printed; what concerns the view is undefined outside one. */
export interface SystemNames {
  readonly "kernel-name": string;
  readonly nodename: string;
  readonly "kernel-release": string;
  readonly "kernel-version": string;
  readonly machine: string;
  readonly processor: string;
  readonly "hardware-platform": string;
  readonly "operating-system": string;
  readonly serverid?: string;
  readonly viewid?: string;
  readonly viewname?: string;
  readonly rung?: string;
}

const UNKNOWN = "unknown";

/** Order of printing; `--all` leaves out what is unknown or empty. */
const FIELDS = [
  "kernel-name",
  "nodename",
  "kernel-release",
  "kernel-version",
  "machine",
  "processor",
  "hardware-platform",
  "operating-system",
  "serverid",
  "viewid",
  "viewname",
  "rung",
] as const satisfies readonly (keyof SystemNames)[];

/** The names of this system as this process sees it. */
export function systemNames(view: ViewNames | undefined): SystemNames {
  const names = {
    "kernel-name": type(),
    nodename: hostname(),
    "kernel-release": release(),
    "kernel-version": version(),
    machine: machine(),
    processor: UNKNOWN,
    "hardware-platform": UNKNOWN,
  };
  if (view === undefined) return { ...names, "operating-system": "GNU/Linux" };
  return {
    ...names,
    "operating-system": "GNU/Linux/View-OS",
    serverid: String(view.server),
    viewid: String(view.view),
    viewname: view.name,
    ...(view.rung === null ? {} : { rung: view.rung }),
  };
}

/** The line that `vuname` prints. */
export function namesLine(names: SystemNames, asked: Invocation["options"]): string {
  const all = asked["all"] === true;
  const isAsked = (field: string): boolean =>
    asked[field] === true || (field === "viewname" && asked["view-name"] === true);
  const chosen = FIELDS.filter((field) => all || isAsked(field));
  const shown = (chosen.length === 0 ? [FIELDS[0]] : chosen).flatMap((field) => {
    const value = names[field];
    if (value === undefined || (all && (value === UNKNOWN || value === ""))) return [];
    return [value];
  });
  return shown.join(" ");
}

/** What a prompt shows: the view's name, or host and server, or outside a view the host. */
export function promptText(names: SystemNames): string {
  if (names.serverid === undefined) return names.nodename;
  return names.viewname === "" ? `${names.nodename}[${names.serverid}]` : names.viewname!;
}

/** Which view this process is in; undefined: in none. */
export async function ownView(): Promise<ViewNames | undefined> {
  using client = controlOfOwnView();
  return client === undefined ? undefined : ((await client.ask("uname")) as ViewNames);
}

/** Ends a command that was asked to be quiet without a word. */
export async function quietly(isQuiet: boolean, action: () => Promise<void>): Promise<number> {
  try {
    await action();
    return EXIT.ok;
  } catch (error) {
    if (!isQuiet || !(error instanceof V2Error)) throw error;
    return error.exitCode;
  }
}

/** `vuname [OPTION]…`, or `vuname NEWNAME` */
export async function run({ options, words, rest }: Invocation): Promise<number> {
  const [name, ...more] = [...words, ...rest];
  if (options["version"] === true) {
    print(`vuname (virtualsquare ${(await import("./version.ts")).version()})\n`);
    return EXIT.ok;
  }
  return await quietly(options["quiet"] === true, async () => {
    if (name !== undefined) {
      const others = Object.keys(options).filter((option) => option !== "quiet");
      if (more.length > 0 || others.length > 0) {
        throw new V2Error("USAGE", "vuname sets one name, or prints what options ask for", {
          remedy: "vuname NEWNAME, or vuname -a",
          exitCode: EXIT.usage,
        });
      }
      using client = openControl();
      await client.ask("viewname", { name });
      return;
    }
    const view = options["nouname"] === true ? await insideView() : await ownView();
    const names = systemNames(view);
    if (options["json"] === true) printJson(names);
    else print(`${options["prompt"] === true ? promptText(names) : namesLine(names, options)}\n`);
  });
}

/** The same where being outside a view is a failure. */
export async function insideView(): Promise<ViewNames> {
  using client = openControl();
  return (await client.ask("uname")) as ViewNames;
}
