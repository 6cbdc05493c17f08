/** `v2 view` in the words of its predecessors, for scripts and habits. */
import type { CommandSpec, OptionSpec } from "./command.ts";

const GROUP = "Views";

const nothing = (help: string, short?: string): OptionSpec => {
  return {
    type: "boolean",
    help: `${help}; does nothing here`,
    ...(short === undefined ? {} : { short }),
  };
};

const NAME: OptionSpec = {
  type: "string",
  short: "V",
  value: "NAME",
  help: "name of the view, also its host name",
};
const NO_PROMPT: OptionSpec = { type: "boolean", help: "leave the prompt of shells as it is" };
const NESTING = nothing("no nesting", "x");
const OUTPUT: OptionSpec = {
  type: "string",
  short: "o",
  value: "FILE",
  help: "the debug log goes there",
};
const ENGINE: OptionSpec = {
  type: "string",
  value: "auto|A|B|C|D",
  help: "how the view is made (v2 doctor); kmview takes those with a filter in the kernel, A to C",
};
const START_UP =
  "Before CMD the start-up files /etc/viewosrc, /etc/vurc, ~/.viewosrc and ~/.vurc are run in the view, those that exist and are executable.";

/** `umview`; also the words of /etc/viewospasswd. */
export const UMVIEW: CommandSpec = {
  name: "view umview",
  group: GROUP,
  aliases: ["umview", "kmview"],
  summary: "v2 view in the words of View-OS",
  usage:
    "[-V NAME] [-p MODULE[,OPTIONS]]… [-f FILE] [-s] [-o FILE] [-q] [-xnu] [--engine=E] [CMD…]",
  details: [START_UP],
  options: {
    viewname: NAME,
    preload: {
      type: "string",
      short: "p",
      multiple: true,
      value: "MODULE[,OPTIONS]",
      help: "put a module into the view before CMD starts",
    },
    rc: {
      type: "string",
      short: "f",
      value: "FILE",
      help: "start-up file instead of those in the home directory",
    },
    secure: { type: "boolean", short: "s", help: "appear as uid 0" },
    output: OUTPUT,
    quiet: { type: "boolean", short: "q", help: "do not say which options do nothing" },
    version: { type: "boolean", short: "v", help: "show the version" },
    nonesting: NESTING,
    nokernelpatch: nothing("no kernel patches", "n"),
    nokmulti: nothing("no PTRACE_MULTI"),
    noksysvm: nothing("no PTRACE_SYSVM"),
    nokviewos: nothing("no PTRACE_VIEWOS"),
    recursive: nothing("on the hypervisor that runs already", "u"),
    engine: ENGINE,
    "no-prompt": NO_PROMPT,
  },
  stopAtFirstWord: true,
  examples: [
    ["umview bash", "a shell in a view"],
    ["umview -V blue -p unreal bash", "with a name and a module"],
  ],
  load: () => import("./umview.ts"),
};

export const VIEW_CLASSIC_COMMANDS: readonly CommandSpec[] = [
  UMVIEW,
  {
    name: "view umvu",
    group: GROUP,
    aliases: ["umvu"],
    summary: "v2 view in the words of VUOS",
    usage:
      "[-V NAME] [-f FILE | -N] [-d TAGS] [-D TAGS:COLOUR]… [-o FILE] [-xSq] [-l N] [-s N] [CMD…]",
    details: [START_UP],
    options: {
      viewname: NAME,
      // The long name of the original.
      vu_name: { type: "string", value: "NAME", help: "the same as --viewname" },
      rc: { type: "string", short: "f", value: "FILE", help: "this start-up file and no other" },
      norc: { type: "boolean", short: "N", help: "no start-up file" },
      debugtags: {
        type: "string",
        short: "d",
        value: "TAGS",
        help: "log these categories from the start (vudebug)",
      },
      debugcols: {
        type: "string",
        short: "D",
        multiple: true,
        value: "TAGS:COLOUR",
        help: "colours of categories",
      },
      output: OUTPUT,
      quiet: { type: "boolean", short: "q", help: "do not say which options do nothing" },
      version: { type: "boolean", help: "show the version" },
      nonesting: NESTING,
      noseccomp: nothing("no seccomp", "S"),
      loglevel: {
        type: "string",
        short: "l",
        value: "N",
        help: "level of the log; does nothing here",
      },
      syslog: {
        type: "string",
        short: "s",
        value: "N",
        help: "level for syslog; does nothing here",
      },
      engine: ENGINE,
      "no-prompt": NO_PROMPT,
    },
    stopAtFirstWord: true,
    examples: [
      ["umvu bash", "a shell in a view"],
      ["umvu -N -d s -D s:r bash", "without start-up files; the calls that reach the view, in red"],
    ],
    load: () => import("./umview.ts"),
  },
  {
    name: "view login",
    group: GROUP,
    aliases: ["viewlogin"],
    summary: "a login shell that puts the whole login into a view",
    usage: "[-c COMMAND]",
    details: [
      "To be the shell of an account in /etc/passwd: make the link (v2 links DIR) and add it to /etc/shells.",
      "/etc/viewospasswd has a line 'LOGIN:WORDS' for each such account: what follows 'umview'. The words end in a shell, or in a command that becomes one.",
      "/etc/viewosrc and /etc/vurc are run before, files of the home directory are not.",
    ],
    options: {
      command: { type: "string", short: "c", value: "COMMAND", help: "handed to the shell" },
      login: { type: "boolean", short: "l", help: "as any login shell" },
    },
    examples: [["sudo chsh -s /usr/local/bin/viewlogin ada", "ada always works in a view"]],
    load: () => import("./view-login.ts"),
  },
];
