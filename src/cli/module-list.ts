/** `vu_lsmod` (um_ls_service): lists the modules of the view. */
import { openControl } from "../engine/index.ts";
import type { Invocation } from "./command.ts";
import { print, printJson } from "./output.ts";

/** What the view tells of a module. */
interface ListedModule {
  readonly name: string;
  readonly description?: string;
  readonly inherited?: boolean;
}

/** `vu_lsmod [--json]`: `NAME: description`, one module a line, newest first. */
export async function run({ options }: Invocation): Promise<number> {
  using client = openControl();
  const modules = (await client.ask("lsmod")) as readonly ListedModule[];
  for (const module of modules) {
    if (options["json"] === true) printJson(module);
    else {
      const mark = module.inherited === true ? " (inherited)" : "";
      print(`${module.name}: ${module.description ?? ""}`.trimEnd().concat(mark, "\n"));
    }
  }
  return 0;
}
