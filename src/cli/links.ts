/**
 * `v2 links DIR`: the native launcher as `v2`, and the historical command names as links to it or
 * to this program.
 */
import {
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { EXIT, V2Error } from "../base/index.ts";
import type { CommandSpec, Invocation } from "./command.ts";
import { print, printJson } from "./output.ts";

/** What became of one name. */
export interface LinkResult {
  readonly name: string;
  /** "kept": it pointed here already. "refused": something else has the name, and stays. */
  readonly state: "made" | "kept" | "refused";
}

/** Historical names that start views, which the native launcher does without Node. */
const VIEW_STARTERS: ReadonlySet<string> = new Set(["umview", "kmview", "umvu"]);

/** Ends the name of the program inside a launcher: by that one of ours is known. */
const MAIN = "/src/cli/main.js";

/** Writes the native launcher; another file of that name stays. */
function makeLauncher(path: string, image: Uint8Array): LinkResult["state"] {
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (there !== undefined) {
    const isLink = there.isSymbolicLink();
    const old = isLink ? Buffer.from(readlinkSync(path)) : there.isFile() ? readFileSync(path) : "";
    if (Buffer.from(old).equals(image)) return "kept";
    if (!old.includes(MAIN)) return "refused";
    unlinkSync(path);
  }
  writeFileSync(path, image, { mode: 0o755 });
  return "made";
}

/** The native launcher for this machine; undefined: there is none for its processor. */
async function launcherImage(main: string): Promise<Uint8Array | undefined> {
  const { nativeLauncher, runDirectory, serverSocketPath } = await import("../engine/index.ts");
  runDirectory();
  try {
    return nativeLauncher({ node: process.execPath, main, serverSocket: serverSocketPath() });
  } catch (error) {
    if (error instanceof V2Error && error.code === "ARCHITECTURE") return undefined;
    throw error;
  }
}

/** A link of ours from an earlier place of the package may be replaced; anything else may not. */
function makeLink(path: string, target: string): LinkResult["state"] {
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (there !== undefined) {
    if (!there.isSymbolicLink()) return "refused";
    const old = readlinkSync(path);
    if (old === target) return "kept";
    if (!old.endsWith(MAIN) && old !== "v2") return "refused";
    unlinkSync(path);
  }
  symlinkSync(target, path);
  return "made";
}

/**
 * Makes `v2` and every historical name in a folder, which is made when missing.
 * @param target the program that the links name
 * @param launcher the native launcher, which `v2` becomes and those link to that start views
 */
export function makeLinks(
  folder: string,
  commands: readonly CommandSpec[],
  target: string,
  launcher?: Uint8Array,
): readonly LinkResult[] {
  mkdirSync(folder, { recursive: true });
  const names = ["v2", ...commands.flatMap((command) => command.aliases ?? [])];
  return names.map((name) => {
    const path = join(folder, name);
    if (launcher === undefined) return { name, state: makeLink(path, target) };
    if (name === "v2") return { name, state: makeLauncher(path, launcher) };
    return { name, state: makeLink(path, VIEW_STARTERS.has(name) ? "v2" : target) };
  });
}

/** `v2 links DIR [--json]` */
export async function run(invocation: Invocation): Promise<number> {
  const [folder, more] = invocation.words;
  if (folder === undefined || more !== undefined) {
    throw new V2Error("FOLDER_MISSING", "links: one folder is needed", {
      remedy: "v2 links ~/bin",
      exitCode: EXIT.usage,
    });
  }
  const { COMMANDS } = await import("./table.ts");
  const target = fileURLToPath(new URL("./main.js", import.meta.url));
  const results = makeLinks(folder, COMMANDS, target, await launcherImage(target));
  const json = invocation.options["json"] === true;
  for (const result of results) {
    if (json) printJson(result);
    else if (result.state !== "kept") print(`${join(folder, result.name)}: ${result.state}\n`);
  }
  return results.some((result) => result.state === "refused") ? EXIT.failed : EXIT.ok;
}
