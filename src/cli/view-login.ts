/**
 * `viewlogin`: a login shell that puts the whole login into a view. /etc/viewospasswd says what is
 * run in it: a line `LOGIN:COMMAND`, the words of COMMAND being those after `umview`.
 */
import { readFileSync } from "node:fs";
import { userInfo } from "node:os";
import { EXIT, V2Error } from "../base/index.ts";
import { loginCommand, splitCommand } from "../viewos/index.ts";
import type { Invocation } from "./command.ts";
import { parseWords } from "./parse.ts";
import { UMVIEW } from "./table-view-classic.ts";
import { startClassicView } from "./umview.ts";

const FILE = "/etc/viewospasswd";

const misconfigured = (message: string, remedy: string): V2Error =>
  new V2Error("LOGIN", message, { remedy, exitCode: EXIT.failed });

function commandOf(login: string): string[] {
  let text: string;
  try {
    text = readFileSync(FILE, "utf8");
  } catch (cause) {
    const { message } = cause as Error;
    throw misconfigured(message, `make ${FILE} with a line '${login}:/bin/bash -l'`);
  }
  const command = loginCommand(text, login);
  if (command === undefined) {
    throw misconfigured(`${FILE} has no line of ${login}`, `add '${login}:/bin/bash -l'`);
  }
  const words = splitCommand(command);
  if (words === undefined) {
    throw misconfigured(`${FILE}: a quote of ${login}'s command is open`, "close it");
  }
  return words;
}

/** `viewlogin [-c COMMAND]`, as sshd(8) and su(1) call a login shell. */
export async function run({ options }: Invocation): Promise<number | undefined> {
  const login = userInfo().username;
  const words = commandOf(login);
  const command = options["command"] as string | undefined;
  const parsed = parseWords(UMVIEW, command === undefined ? words : [...words, "-c", command]);
  if ("problem" in parsed) {
    throw misconfigured(`${FILE}: ${login}: ${parsed.problem}`, "write what follows 'umview'");
  }
  return await startClassicView({ calledAs: "umview", ...parsed }, true);
}
