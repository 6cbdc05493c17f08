/** `v2 lab status`: the nodes of one running lab or of all. */
import { EXIT } from "../base/index.ts";
import { listLabs, statusRows, statusTable } from "../lab/index.ts";
import type { Invocation } from "./command.ts";
import { allWords, labOf } from "./lab-support.ts";

export async function run(invocation: Invocation): Promise<number> {
  const [wanted] = allWords(invocation);
  const labs = wanted === undefined ? listLabs() : [labOf(wanted)];
  if (invocation.options["json"] === true) {
    const rows = labs.map(({ name, pid, topology }) => ({
      name,
      pid,
      nodes: statusRows(topology),
    }));
    process.stdout.write(`${JSON.stringify(rows)}\n`);
    return EXIT.ok;
  }
  for (const { name, pid, topology } of labs) {
    process.stdout.write(`lab ${name} (pid ${pid})\n${statusTable(statusRows(topology))}`);
  }
  return EXIT.ok;
}
