/** `um_attach`, `v2 view attach`: takes a running process into a view. */
import { EXIT, V2Error } from "../base/index.ts";
import { attachProcess, openControl, type ViewNames } from "../engine/index.ts";
import type { Invocation } from "./command.ts";
import { printJson } from "./output.ts";

/** `um_attach [-V NAME] PID`, `v2 view attach NAME PID` */
export async function run({ words, rest, options }: Invocation): Promise<number> {
  const all = [...words, ...rest];
  const pid = all.pop();
  const named = [...(typeof options["viewname"] === "string" ? [options["viewname"]] : []), ...all];
  if (pid === undefined || named.length > 1 || !/^[1-9]\d*$/.test(pid)) {
    throw new V2Error("USAGE", "which process?", {
      remedy: "um_attach PID, v2 view attach NAME PID",
      exitCode: EXIT.usage,
    });
  }
  const attached = attachProcess(named[0] ?? (await ownView(pid)), Number(pid));
  if (options["json"] === true) printJson(attached);
  else if (attached.directory === null) {
    process.stderr.write(`v2: process ${pid} stands in / now: the view has not its directory\n`);
  }
  return EXIT.ok;
}

/** The name of the view that we are in, if one can be attached to from inside. */
async function ownView(pid: string): Promise<string> {
  using client = openControl();
  const { name, rung } = (await client.ask("uname")) as ViewNames;
  const known = name === "" ? "NAME" : name;
  if (rung !== "C") {
    throw new V2Error("NOT_POSSIBLE", `process ${pid} cannot be taken into the view from inside`, {
      remedy: `outside of the view: v2 view attach ${known} ${pid}${name === "" ? " (vuname NAME gives the view a name)" : ""}`,
      exitCode: EXIT.unavailable,
    });
  }
  if (name !== "") return name;
  throw new V2Error("NO_NAME", "the view has no name to be entered by", {
    remedy: "vuname NAME gives it one",
    exitCode: EXIT.failed,
  });
}
