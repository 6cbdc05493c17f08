/** `umshutdown`: ends every process of the view. */
import { EXIT, V2Error } from "../base/index.ts";
import { openControl } from "../engine/index.ts";
import type { Invocation } from "./command.ts";

const SECONDS_DEFAULT = 30;

/** `umshutdown [SECONDS]`: SIGTERM for all, SIGKILL for those that are left after the time. */
export async function run({ words, rest }: Invocation): Promise<number> {
  const [text = String(SECONDS_DEFAULT), ...more] = [...words, ...rest];
  if (more.length > 0 || !/^\d+(?:\.\d+)?$/.test(text)) {
    throw new V2Error("USAGE", `'${[text, ...more].join(" ")}' is no number of seconds`, {
      remedy: "umshutdown 5",
      exitCode: EXIT.usage,
    });
  }
  using client = openControl();
  await client.ask("shutdown", { seconds: Number(text) });
  return EXIT.ok;
}
