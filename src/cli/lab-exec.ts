/** `v2 lab exec NAME|FILE NODE -- CMD…`: this process becomes a command in a view of the lab. */
import { EXIT, V2Error } from "../base/index.ts";
import { becomeGuest, connectToView, findView } from "../engine/index.ts";
import { viewName } from "../lab/index.ts";
import { inheritedDescriptors } from "../sys/index.ts";
import type { Invocation } from "./command.ts";
import { allWords, labOf, wordAt } from "./lab-support.ts";

/** Never returns on success. */
export async function run(invocation: Invocation): Promise<number> {
  const inherited = inheritedDescriptors();
  const words = allWords(invocation);
  const lab = labOf(wordAt(words, 0, "the name of the lab, or its file"));
  const node = wordAt(words, 1, "the node");
  const plan = lab.topology.views.find((view) => view.name === node);
  const name = viewName(lab.name, node);
  const view = plan === undefined ? undefined : findView(name);
  if (plan === undefined || view === undefined) {
    throw new V2Error("NO_NODE", `lab '${lab.name}' has no running view '${node}'`, {
      remedy: `its views: ${lab.topology.views.map((v) => v.name).join(", ")}`,
      exitCode: EXIT.notFound,
    });
  }
  const session = connectToView(name);
  // The launcher gives the command the environment of this process.
  Object.assign(process.env, plan.env);
  const given = words.slice(words[2] === "--" ? 3 : 2);
  const command = given.length > 0 ? given : [process.env["SHELL"] ?? "/bin/sh"];
  becomeGuest(session, { view: { pid: view.pid } }, command, inherited, view.traps);
}
