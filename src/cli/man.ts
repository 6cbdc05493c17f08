/** Manual pages from the command table: man(7) macros, section 1. */
import { EXIT, V2Error } from "../base/index.ts";
import type { CommandSpec, Invocation } from "./command.ts";
import { findCommand, nearestCommand } from "./find.ts";
import { optionHead } from "./help.ts";
import { print } from "./output.ts";
import { version } from "./version.ts";

/**
 * Text for roff: no escapes, no hyphen that may become a dash, no request at a line's start, no
 * ellipsis (man(1) has none to show in the C locale).
 */
function roff(text: string): string {
  const plain = text.replaceAll("\\", "\\e").replaceAll("-", "\\-").replaceAll("…", "...");
  return /^[.']/.test(plain) ? `\\&${plain}` : plain;
}

const EXIT_CODES: readonly (readonly [code: string, meaning: string])[] = [
  ["0", "fine"],
  ["1", "it failed"],
  ["2", "wrong usage"],
  ["3", "nothing found"],
  ["69", "a service or kernel feature is not available"],
  ["77", "no permission"],
  ["126, 127, 128+n", "as a shell, where a command runs another one"],
];

/**
 * The manual page of a command as roff.
 * @param pageName name of the page: "v2-lab-up", or a historical name
 * @param release version shown in the footer
 */
export function manualPage(command: CommandSpec, pageName: string, release: string): string {
  const historical = command.aliases?.includes(pageName) === true;
  const program = historical ? pageName : `v2 ${command.name}`;
  const lines = [
    `.TH "${roff(pageName.toUpperCase())}" 1 "" "virtualsquare ${roff(release)}" "Virtual Square"`,
    ".SH NAME",
    `${roff(pageName)} \\- ${roff(command.summary)}`,
    ".SH SYNOPSIS",
    `.B ${roff(program)}`,
    roff(command.usage),
  ];
  const [first, ...others] = command.details ?? [];
  if (first !== undefined) lines.push(".SH DESCRIPTION", roff(first));
  for (const paragraph of others) lines.push(".PP", roff(paragraph));
  const options = Object.entries(command.options);
  if (options.length > 0) lines.push(".SH OPTIONS");
  for (const [name, spec] of options) {
    const repeat = spec.multiple === true ? " (may be given several times)" : "";
    lines.push(".TP", `.B ${roff(optionHead(name, spec))}`, roff(spec.help + repeat));
  }
  if (command.examples.length > 0) lines.push(".SH EXAMPLES");
  for (const [line, effect] of command.examples) {
    lines.push(".TP", `.B ${roff(line)}`, roff(effect));
  }
  lines.push(".SH EXIT STATUS");
  for (const [code, meaning] of EXIT_CODES) lines.push(".TP", `.B ${code}`, meaning);
  const names = [`v2 ${command.name}`, ...(command.aliases ?? [])].filter((n) => n !== program);
  if (names.length > 0) lines.push(".SH OTHER NAMES", roff(names.join(", ")));
  return `${lines.join("\n")}\n`;
}

/** `v2 man NAME`: "switch", "lab up", "v2-lab-up" or "vde_switch". */
export async function run(invocation: Invocation): Promise<number> {
  const { COMMANDS } = await import("./table.ts");
  const written = invocation.words.join(" ");
  const words = written.replace(/^v2[- ]/, "").split(/[ ]/);
  const found = findCommand(COMMANDS, words) ?? findCommand(COMMANDS, words.join("-").split("-"));
  if (found === undefined) {
    const near = nearestCommand(COMMANDS, words);
    throw new V2Error("COMMAND_UNKNOWN", `no command '${written}'`, {
      remedy: near === undefined ? "'v2 --help' lists the commands" : `did you mean '${near}'?`,
      exitCode: EXIT.notFound,
    });
  }
  const { command } = found;
  const name = words.join(" ");
  const pageName = command.aliases?.includes(name)
    ? name
    : `v2-${command.name.replaceAll(" ", "-")}`;
  print(manualPage(command, pageName, version()));
  return EXIT.ok;
}
