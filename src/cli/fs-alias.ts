/** `um_fsalias`: short names for mount types. */
import { EXIT, V2Error } from "../base/index.ts";
import { openControl } from "../engine/index.ts";
import type { Invocation } from "./command.ts";
import { print, printJson } from "./output.ts";

/** `um_fsalias [ALIAS [TYPE]]`; without TYPE removes the alias, without words lists all. */
export async function run({ options, words, rest }: Invocation): Promise<number> {
  const [alias, type, ...more] = [...words, ...rest];
  if (more.length > 0) {
    throw new V2Error("USAGE", "an alias and a type are enough", {
      remedy: "example: um_fsalias ext2 umfuseext2",
      exitCode: EXIT.usage,
    });
  }
  using client = openControl();
  const aliases = (await client.ask("fsalias", {
    ...(alias === undefined ? {} : { alias }),
    ...(type === undefined ? {} : { type }),
  })) as { readonly [alias: string]: string };
  if (options["json"] === true) printJson(aliases);
  else if (alias === undefined) {
    for (const [name, meant] of Object.entries(aliases)) print(`${name} ${meant}\n`);
  }
  return EXIT.ok;
}
