/** `v2 lab prune`: removes the directories of labs whose runner was killed. */
import { EXIT } from "../base/index.ts";
import { pruneLabs } from "../lab/index.ts";
import type { Invocation } from "./command.ts";

export async function run(invocation: Invocation): Promise<number> {
  const names = pruneLabs();
  if (invocation.options["json"] === true) process.stdout.write(`${JSON.stringify(names)}\n`);
  else for (const name of names) process.stdout.write(`${name}\n`);
  return EXIT.ok;
}
