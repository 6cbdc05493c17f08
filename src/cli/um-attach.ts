/** `um_attach`: takes a running process into the view. */
import { EXIT, V2Error } from "../base/index.ts";
import { openControl } from "../engine/index.ts";
import type { Invocation } from "./command.ts";

/** `um_attach PID` */
export async function run({ words, rest }: Invocation): Promise<number> {
  const [text, ...more] = [...words, ...rest];
  if (text === undefined || more.length > 0 || !/^[1-9]\d*$/.test(text)) {
    throw new V2Error("USAGE", "which process?", {
      remedy: "um_attach PID",
      exitCode: EXIT.usage,
    });
  }
  using client = openControl();
  try {
    await client.ask("attach", { pid: Number(text) });
  } catch (error) {
    if (!(error instanceof V2Error) || error.code !== "NO_OPERATION") throw error;
    throw new V2Error("NOT_POSSIBLE", `process ${text} cannot be taken into a running view`, {
      remedy: "start it in the view: v2 view exec NAME -- CMD",
      exitCode: EXIT.unavailable,
      cause: error,
    });
  }
  return EXIT.ok;
}
