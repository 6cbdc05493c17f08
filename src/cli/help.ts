/** Help texts from the command table: the overview, a noun with its verbs, one command. */
import type { CommandSpec, OptionSpec } from "./command.ts";
import { columns, wrap } from "./output.ts";

const WIDTH = 80;
/** Where commands without a group of their own stand in the overview. */
const NO_GROUP = "Other";

/** Groups in order of first appearance in the table. */
function grouped(commands: readonly CommandSpec[]): ReadonlyMap<string, readonly CommandSpec[]> {
  const groups = new Map<string, CommandSpec[]>();
  for (const command of commands) {
    const group = command.group ?? NO_GROUP;
    const list = groups.get(group);
    if (list === undefined) groups.set(group, [command]);
    else list.push(command);
  }
  return groups;
}

/** `v2 --help`: every command with its summary, by group. */
export function overviewHelp(commands: readonly CommandSpec[]): string {
  const parts = [
    "Virtual Square: virtual Ethernet, processes with a view, and what joins them.\n\n",
    "Usage: v2 COMMAND [OPTION]… [WORD]…\n",
    "       v2 COMMAND --help   examples, usage and options of a command\n",
    "       v2 --version\n",
  ];
  const width = Math.max(0, ...commands.map((command) => command.name.length));
  for (const [group, members] of grouped(commands)) {
    const rows = members.map((command) => [command.name.padEnd(width), command.summary]);
    parts.push(`\n${group}:\n`, columns(rows, 2));
  }
  parts.push(
    "\nThe historical names (vde_switch, vde_plug, umview …) are commands too: `v2 vde_switch …`,\n",
    "or as programs of their own after `v2 links DIR`.\n",
  );
  return parts.join("");
}

/** `v2 NOUN --help` where NOUN alone is no command: its verbs. */
export function nounHelp(noun: string, verbs: readonly CommandSpec[]): string {
  const rows = verbs.map((command) => [command.name, command.summary]);
  return `Usage: v2 ${noun} VERB [OPTION]… [WORD]…\n\n${columns(rows, 2)}`;
}

/** "-s, --sock DIR": how an option is written. */
export function optionHead(name: string, spec: OptionSpec): string {
  const short = spec.short === undefined ? "" : `-${spec.short}, `;
  if (spec.type === "boolean") return `${short}--${name}`;
  const value = spec.value ?? "VALUE";
  return spec.optionalValue === true
    ? `${short}--${name}[=${value}]`
    : `${short}--${name} ${value}`;
}

/** `v2 COMMAND --help`: examples first, then usage, options and details. */
export function commandHelp(command: CommandSpec, calledAs: string): string {
  const parts: string[] = [`${command.summary}\n`];
  if (command.examples.length > 0) {
    parts.push("\nExamples:\n");
    for (const [line, effect] of command.examples) {
      parts.push(`  ${line}\n`, ...wrap(effect, WIDTH - 6).map((text) => `      ${text}\n`));
    }
  }
  const program = command.aliases?.includes(calledAs) ? calledAs : `v2 ${command.name}`;
  parts.push("\nUsage:\n", `  ${program} ${command.usage}`.trimEnd(), "\n");
  const options = Object.entries(command.options);
  if (options.length > 0) {
    const heads = options.map(([name, spec]) => optionHead(name, spec));
    const width = Math.min(26, Math.max(...heads.map((head) => head.length)));
    parts.push("\nOptions:\n");
    options.forEach(([, spec], i) => {
      const head = heads[i]!;
      const repeat = spec.multiple === true ? " (may be given several times)" : "";
      const text = wrap(spec.help + repeat, WIDTH - width - 4);
      const fits = head.length <= width;
      if (!fits) parts.push(`  ${head}\n`);
      text.forEach((line, j) => {
        parts.push(`  ${(j === 0 && fits ? head : "").padEnd(width)}  ${line}\n`);
      });
    });
  }
  for (const paragraph of command.details ?? []) {
    parts.push("\n", ...wrap(paragraph, WIDTH).map((line) => `${line}\n`));
  }
  if (command.aliases !== undefined && command.aliases.length > 0) {
    parts.push(`\nHistorical names: ${command.aliases.join(", ")}\n`);
  }
  return parts.join("");
}
