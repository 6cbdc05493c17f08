/** `v2 view exec NAME -- CMD…`: enters a running view by name. */
import { V2Error, EXIT } from "../base/index.ts";
import {
  becomeGuest,
  connectToView,
  existingView,
  runningView,
  sessionOfOwnView,
} from "../engine/index.ts";
import { inheritedDescriptors } from "../sys/index.ts";
import type { Invocation } from "./command.ts";
import { isPromptingShell, showInPrompt } from "./view-prompt.ts";

/** Never returns on success: this process becomes the command. */
export async function run(invocation: Invocation): Promise<number> {
  const inherited = inheritedDescriptors();
  const [name, ...after] = [...invocation.words, ...invocation.rest];
  const argv = after[0] === "--" ? after.slice(1) : after;
  if (name === undefined) {
    throw new V2Error("VIEW_NAME", "which view?", {
      remedy: "'v2 view list' shows the running ones",
      exitCode: EXIT.usage,
    });
  }
  const view = runningView(name);
  const inside = sessionOfOwnView();
  const session = inside ?? connectToView(name);
  const command = argv.length > 0 ? argv : [process.env["SHELL"] ?? "/bin/sh"];
  if (isPromptingShell(command)) showInPrompt(name, command[0]);
  becomeGuest(session, existingView(view), command, inherited, view.traps, inside !== undefined);
}
