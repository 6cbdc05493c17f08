/** `v2 view list`: the running named views. */
import { listViews } from "../engine/index.ts";
import type { Invocation } from "./command.ts";

/** Prints one line per view, or a JSON array. */
export async function run(invocation: Invocation): Promise<number> {
  const views = listViews();
  if (invocation.options["json"] === true) {
    process.stdout.write(`${JSON.stringify(views)}\n`);
    return 0;
  }
  for (const view of views) {
    process.stdout.write(
      `${view.name.padEnd(20)} pid ${view.pid}  supervisor ${view.supervisorPid}\n`,
    );
  }
  return 0;
}
