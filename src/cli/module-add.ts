/** `vu_insmod` (um_add_service): puts modules into the view. */
import { EXIT, V2Error } from "../base/index.ts";
import { openControl } from "../engine/index.ts";
import type { Invocation } from "./command.ts";
import { forEach } from "./for-each.ts";

/** `vu_insmod [-p] MODULE[,OPTIONS]…`; all are tried. */
export async function run({ options, words, rest }: Invocation): Promise<number> {
  const modules = [...words, ...rest];
  if (modules.length === 0) {
    throw new V2Error("USAGE", "which module?", {
      remedy: "a name such as 'unreal', or a file such as ./mine.js",
      exitCode: EXIT.usage,
    });
  }
  using client = openControl();
  const permanent = options["permanent"] === true;
  return await forEach(modules, async (word) => {
    const comma = word.indexOf(",");
    const module = comma === -1 ? word : word.slice(0, comma);
    const given = comma === -1 ? "" : word.slice(comma + 1);
    // A file is named as seen from here; the supervisor stands elsewhere.
    const directory = process.cwd();
    await client.ask("insmod", { module, options: given, permanent, directory });
  });
}
