/** `vu_rmmod` (um_del_service): takes modules out of the view. */
import { EXIT, V2Error } from "../base/index.ts";
import { openControl } from "../engine/index.ts";
import type { Invocation } from "./command.ts";
import { forEach } from "./for-each.ts";

/** `vu_rmmod MODULE…`; all are tried. */
export async function run({ words, rest }: Invocation): Promise<number> {
  const modules = [...words, ...rest];
  if (modules.length === 0) {
    throw new V2Error("USAGE", "which module?", {
      remedy: "vu_lsmod lists those of this view",
      exitCode: EXIT.usage,
    });
  }
  using client = openControl();
  return await forEach(modules, async (module) => {
    await client.ask("rmmod", { module });
  });
}
