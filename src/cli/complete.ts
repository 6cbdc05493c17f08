/** Shell completion scripts generated from the command table. */
import type { CommandSpec, Invocation, OptionSpec } from "./command.ts";
import { V2Error, EXIT } from "../base/index.ts";
import { nearest } from "./nearest.ts";
import { print } from "./output.ts";

/** What the value of an option is, as far as a shell can complete it. */
type ValueKind = "none" | "file" | "folder" | "any";

function valueKind(spec: OptionSpec): ValueKind {
  if (spec.type === "boolean" || spec.optionalValue === true) return "none";
  const value = spec.value ?? "";
  if (/DIR/.test(value)) return "folder";
  return /FILE|PATH|SOCK/.test(value) ? "file" : "any";
}

/** One name a user may type after `v2`, with the options that follow it. */
interface Entry {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly (readonly [written: string, spec: OptionSpec])[];
}

function entriesOf(commands: readonly CommandSpec[]): readonly Entry[] {
  return commands.flatMap((command) =>
    [command.name, ...(command.aliases ?? [])].map((name) => ({
      name,
      summary: command.summary,
      options: Object.entries(command.options).flatMap(([long, spec]) => [
        [`--${long}`, spec] as const,
        ...(spec.short === undefined ? [] : [[`-${spec.short}`, spec] as const]),
      ]),
    })),
  );
}

const HISTORICAL = (commands: readonly CommandSpec[]) =>
  commands.flatMap((command) => command.aliases ?? []);

/** First words of the names, each once. */
function nounsOf(entries: readonly Entry[]): readonly string[] {
  return [...new Set(entries.map((entry) => entry.name.split(" ", 1)[0]!))];
}

function bashScript(commands: readonly CommandSpec[]): string {
  const entries = entriesOf(commands);
  const options = entries.map(
    (entry) =>
      `    '${entry.name}') options='${entry.options.map(([written]) => written).join(" ")} --help' ;;\n`,
  );
  const byKind = (kind: ValueKind) =>
    entries.flatMap((entry) =>
      entry.options
        .filter(([, spec]) => valueKind(spec) === kind)
        .map(([written]) => `'${entry.name} ${written}'`),
    );
  const answer = (kind: ValueKind, action: string) => {
    const keys = byKind(kind);
    return keys.length === 0 ? "" : `    ${keys.join("|")}) ${action}; return ;;\n`;
  };
  const verbs = entries.filter((entry) => entry.name.includes(" "));
  const words = [...nounsOf(entries), "--help", "--version"].join(" ");
  return [
    '# bash completion of v2; load it with: eval "$(v2 completion bash)"\n',
    "_v2() {\n",
    '  local current="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}"\n',
    '  local first="${COMP_WORDS[0]##*/}" name options verbs=""\n',
    '  local -a words=("${COMP_WORDS[@]:1:COMP_CWORD-1}")\n',
    '  [ "$first" = v2 ] || words=("$first" "${words[@]}")\n',
    "  if [ ${#words[@]} -eq 0 ]; then\n",
    `    COMPREPLY=($(compgen -W '${words}' -- "$current")); return\n`,
    "  fi\n",
    '  name="${words[0]}"\n',
    '  case "${words[0]} ${words[1]-}" in\n',
    ...verbs.map((entry) => `    '${entry.name}') name='${entry.name}' ;;\n`),
    "  esac\n",
    ...(verbs.length === 0
      ? []
      : [
          "  if [ ${#words[@]} -eq 1 ]; then\n",
          '    case "${words[0]}" in\n',
          ...[...new Set(verbs.map((entry) => entry.name.split(" ")[0]!))].map(
            (noun) =>
              `      ${noun}) verbs='${verbs
                .filter((entry) => entry.name.startsWith(`${noun} `))
                .map((entry) => entry.name.slice(noun.length + 1))
                .join(" ")}' ;;\n`,
          ),
          "    esac\n",
          "  fi\n",
        ]),
    '  case "$name $before" in\n',
    answer("folder", 'COMPREPLY=($(compgen -d -- "$current"))'),
    answer("file", 'COMPREPLY=($(compgen -f -- "$current"))'),
    answer("any", "COMPREPLY=()"),
    "  esac\n",
    '  case "$name" in\n',
    ...options,
    "    *) options='' ;;\n",
    "  esac\n",
    '  case "$current" in\n',
    '    -*) COMPREPLY=($(compgen -W "$options" -- "$current")) ;;\n',
    '    *) COMPREPLY=($(compgen -W "$verbs" -- "$current") $(compgen -f -- "$current")) ;;\n',
    "  esac\n",
    "}\n",
    `complete -o filenames -F _v2 ${["v2", ...HISTORICAL(commands)].join(" ")}\n`,
  ].join("");
}

/** Text inside single quotes of zsh and fish. */
const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

function zshScript(commands: readonly CommandSpec[]): string {
  const entries = entriesOf(commands);
  const plain = (text: string) => text.replaceAll(/[[\]:\\]/g, (sign) => `\\${sign}`);
  const argument = ([written, spec]: readonly [string, OptionSpec]) => {
    const action = { none: "", file: ":file:_files", folder: ":folder:_files -/", any: ":value:" };
    const repeat = spec.multiple === true ? "*" : "";
    const kind = action[valueKind(spec)];
    return quoted(`${repeat}${written}[${plain(spec.help)}]${kind}`);
  };
  const top = entries.map((entry) => `    ${quoted(`${entry.name}:${plain(entry.summary)}`)}\n`);
  const cases = entries.map((entry) => {
    const specs = [...entry.options.map(argument), "'--help[show help]'", "'*:file:_files'"];
    return `    ${quoted(entry.name)}) _arguments ${specs.join(" ")} ;;\n`;
  });
  const verbs = entries.filter((entry) => entry.name.includes(" "));
  return [
    `#compdef ${["v2", ...HISTORICAL(commands)].join(" ")}\n`,
    "# zsh completion of v2; load it with: source <(v2 completion zsh)\n",
    "_v2() {\n",
    "  local -a commands; commands=(\n",
    ...top,
    "  )\n",
    "  local name=${words[1]:t}\n",
    "  if [[ $name == v2 ]]; then\n",
    "    if (( CURRENT == 2 )); then _describe command commands; return; fi\n",
    "    name=${words[2]}; shift words; (( CURRENT-- ))\n",
    "  fi\n",
    '  case "$name ${words[2]}" in\n',
    ...verbs.map(
      (entry) =>
        `    ${quoted(entry.name)}) name=${quoted(entry.name)}; shift words; (( CURRENT-- )) ;;\n`,
    ),
    "  esac\n",
    '  case "$name" in\n',
    ...cases,
    "    *) _files ;;\n",
    "  esac\n",
    "}\n",
    `compdef _v2 ${["v2", ...HISTORICAL(commands)].join(" ")}\n`,
  ].join("");
}

function fishScript(commands: readonly CommandSpec[]): string {
  const lines = ["# fish completion of v2; load it with: v2 completion fish | source\n"];
  for (const entry of entriesOf(commands)) {
    const [noun, verb] = entry.name.split(" ") as [string, string?];
    const when =
      verb === undefined ? "__fish_use_subcommand" : `__fish_seen_subcommand_from ${noun}`;
    lines.push(
      `complete -c v2 -n ${quoted(when)} -a ${quoted(verb ?? noun)} -d ${quoted(entry.summary)}\n`,
    );
    const seen = entry.name
      .split(" ")
      .map((word) => `__fish_seen_subcommand_from ${word}`)
      .join("; and ");
    for (const [written, spec] of entry.options) {
      const flag = written.startsWith("--") ? `-l ${written.slice(2)}` : `-s ${written.slice(1)}`;
      const kinds = {
        none: "",
        file: " -r -F",
        folder: " -x -a '(__fish_complete_directories)'",
        any: " -x",
      };
      const value = kinds[valueKind(spec)];
      const text = quoted(spec.help);
      lines.push(`complete -c v2 -n ${quoted(seen)} ${flag}${value} -d ${text}\n`);
    }
  }
  return lines.join("");
}

const SHELLS: { readonly [shell: string]: (commands: readonly CommandSpec[]) => string } = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};

/**
 * The completion script of a shell.
 * @throws V2Error SHELL_UNKNOWN
 */
export function completionScript(shell: string, commands: readonly CommandSpec[]): string {
  const script = Object.hasOwn(SHELLS, shell) ? SHELLS[shell] : undefined;
  if (script !== undefined) return script(commands);
  const near = nearest(shell, Object.keys(SHELLS));
  throw new V2Error("SHELL_UNKNOWN", `no completion for the shell '${shell}'`, {
    remedy: near === undefined ? "one of bash, zsh, fish" : `did you mean '${near}'?`,
    exitCode: EXIT.usage,
  });
}

/** `v2 completion SHELL` */
export async function run(invocation: Invocation): Promise<number> {
  const { COMMANDS } = await import("./table.ts");
  print(completionScript(invocation.words[0] ?? "", COMMANDS));
  return EXIT.ok;
}
