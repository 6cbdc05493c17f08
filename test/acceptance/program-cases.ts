/**
 * Programs whose verdicts must not depend on whether they run in a view: the scripts in
 * test/fixtures/programs. Each starts in an empty directory of its own name; what it writes to
 * standard output and its exit code count. Comments at its head say what it needs:
 *
 *   run by: bash (bash)    its interpreter and that one's Debian package; sh unless told
 *   needs: gcc (gcc)       another program and its package
 *   traces                 it traces processes, which another tracer forbids
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { missingProgram } from "./v2.ts";

export interface TransparencyCase {
  /** Its directory. */
  readonly name: string;
  /** The shell command that runs it there. */
  readonly command: string;
  readonly traces: boolean;
  /** Why it cannot be run here. */
  readonly lacks: string | undefined;
}

const FOLDER = fileURLToPath(new URL("../../../test/fixtures/programs", import.meta.url));

function caseOf(file: string): TransparencyCase {
  const path = join(FOLDER, file);
  const head = readFileSync(path, "utf8").match(/^(?:(?:#|\/\/) .*\n)*/)![0];
  const interpreter = /run by: ([\w ]+)/.exec(head)?.[1]?.trim() ?? "sh";
  const needs = [...head.matchAll(/(?:needs|run by): ([\w.]+)[\w ]*\(([\w-]+)\)/g)];
  return {
    name: file.replace(/\.\w+$/, ""),
    command: `${interpreter === "node" ? '"$NODE"' : interpreter} ${path}`,
    traces: /^# traces$/m.test(head),
    lacks: needs
      .map(([, program, pack]) => missingProgram(program!, pack!))
      .find((one) => one !== undefined),
  };
}

/** All of them, by name. */
export function transparencyCases(): readonly TransparencyCase[] {
  return readdirSync(FOLDER).sort().map(caseOf);
}
