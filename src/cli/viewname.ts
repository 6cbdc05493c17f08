/** `viewname`: shows or sets the name of the view. */
import { EXIT, V2Error } from "../base/index.ts";
import { openControl } from "../engine/index.ts";
import type { Invocation } from "./command.ts";
import { print, printJson } from "./output.ts";
import { insideView, quietly } from "./vuname.ts";

/** `viewname [-p] [-q] [NEWNAME]` */
export async function run({ options, words, rest }: Invocation): Promise<number> {
  const [name, ...more] = [...words, ...rest];
  return await quietly(options["quiet"] === true, async () => {
    if (more.length > 0 || (name !== undefined && options["prompt"] === true)) {
      throw new V2Error("USAGE", "viewname takes one new name, or none", {
        remedy: "viewname NEWNAME, or viewname -p",
        exitCode: EXIT.usage,
      });
    }
    if (name !== undefined) {
      using client = openControl();
      await client.ask("viewname", { name });
      return;
    }
    const view = await insideView();
    if (options["json"] === true) return printJson(view);
    const { hostname } = await import("node:os");
    const unnamed = `${hostname()}[${view.server}:${view.view}]`;
    print(`${options["prompt"] === true && view.name === "" ? unnamed : view.name}\n`);
  });
}
