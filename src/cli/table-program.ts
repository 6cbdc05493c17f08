/** The commands about this program itself. */
import { type CommandSpec, JSON_OPTION } from "./command.ts";

export const PROGRAM_COMMANDS: readonly CommandSpec[] = [
  {
    name: "doctor",
    group: "This program",
    summary: "try what this machine allows and say what to do where it does not",
    usage: "[--json]",
    options: { json: JSON_OPTION },
    examples: [
      ["v2 doctor", "a table, and a remedy for each row that is not ok"],
      ["v2 doctor --json | grep '\"works\":false'", "what is missing, one JSON object per line"],
    ],
    details: ["Exit code 0: everything that views require works; 69: something is missing."],
    load: () => import("./doctor.ts"),
  },
  {
    name: "completion",
    group: "This program",
    summary: "print the completion script of a shell",
    usage: "bash|zsh|fish",
    options: {},
    examples: [
      ['eval "$(v2 completion bash)"', "completes commands and options in this bash"],
      ["v2 completion fish | source", "the same in fish"],
    ],
    load: () => import("./complete.ts"),
  },
  {
    name: "links",
    group: "This program",
    summary: "make the historical command names (vde_switch, umview …) as links in a folder",
    usage: "[--json] DIR",
    options: { json: JSON_OPTION },
    examples: [["v2 links ~/.local/bin", "then `vde_switch` and the others run this program"]],
    details: [
      "A name that belongs to something else is left alone and told as refused; the exit code is then 1.",
    ],
    load: () => import("./links.ts"),
  },
  {
    name: "man",
    group: "This program",
    summary: "print the manual page of a command (roff)",
    usage: "COMMAND",
    options: {},
    examples: [
      ["v2 man links | man -l -", "shows the page of `v2 links`"],
      ["v2 man vde_switch > vde_switch.1", "a page under a historical name"],
    ],
    load: () => import("./man.ts"),
  },
];
