/** `v2 links DIR`: the historical command names as links to this program. */
import { lstatSync, mkdirSync, readlinkSync, symlinkSync, unlinkSync } from "node:fs";
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

/** A link of ours from an earlier place of the package may be replaced; anything else may not. */
function makeLink(path: string, target: string): LinkResult["state"] {
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (there !== undefined) {
    if (!there.isSymbolicLink()) return "refused";
    const old = readlinkSync(path);
    if (old === target) return "kept";
    if (!old.endsWith("/src/cli/main.js")) return "refused";
    unlinkSync(path);
  }
  symlinkSync(target, path);
  return "made";
}

/**
 * Makes `v2` and every historical name in a folder, which is made when missing.
 * @param target the program that the links name
 */
export function makeLinks(
  folder: string,
  commands: readonly CommandSpec[],
  target: string,
): readonly LinkResult[] {
  mkdirSync(folder, { recursive: true });
  const names = ["v2", ...commands.flatMap((command) => command.aliases ?? [])];
  return names.map((name) => ({ name, state: makeLink(join(folder, name), target) }));
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
  const results = makeLinks(folder, COMMANDS, target);
  const json = invocation.options["json"] === true;
  for (const result of results) {
    if (json) printJson(result);
    else if (result.state !== "kept") print(`${join(folder, result.name)}: ${result.state}\n`);
  }
  return results.some((result) => result.state === "refused") ? EXIT.failed : EXIT.ok;
}
