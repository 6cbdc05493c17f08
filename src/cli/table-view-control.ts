/** Commands that talk to the view they run in: the historical names of both generations. */
import { type CommandSpec, JSON_OPTION, type OptionSpec } from "./command.ts";

const GROUP = "Views, from inside";

const QUIET: OptionSpec = { type: "boolean", short: "q", help: "no error messages" };

const flag = (short: string, help: string): OptionSpec => ({ type: "boolean", short, help });

export const VIEW_CONTROL_COMMANDS: readonly CommandSpec[] = [
  {
    name: "view uname",
    group: GROUP,
    aliases: ["vuname"],
    summary: "which system and which view this is, or give the view a name",
    usage: "[-asnrvmpioUVNPxq] [--json] | NEWNAME",
    details: [
      "Prints what uname(1) prints, and in a view what concerns the view. Without an option: -s.",
      "Outside a view it is uname(1); with -x it is an error there. Exit code 1: not in a view.",
    ],
    options: {
      all: flag("a", "everything that is known, in the order of these options"),
      "kernel-name": flag("s", "name of the kernel"),
      nodename: flag("n", "host name"),
      "kernel-release": flag("r", "release of the kernel"),
      "kernel-version": flag("v", "version of the kernel"),
      machine: flag("m", "hardware name of the machine"),
      processor: flag("p", 'type of the processor, or "unknown"'),
      "hardware-platform": flag("i", 'hardware platform, or "unknown"'),
      "operating-system": flag("o", "operating system"),
      serverid: flag("U", "process number of the view's supervisor"),
      viewid: { type: "boolean", help: "number of the view in its supervisor" },
      viewname: flag("V", "name of the view"),
      // The letter of the older generation for the same.
      "view-name": flag("N", "the same as -V"),
      rung: { type: "boolean", help: "by which means the view is made: A, B, C or D" },
      prompt: flag("P", "text for a prompt: the view's name, or HOST[SERVER]; outside: the host"),
      nouname: flag("x", "an error outside a view, instead of uname(1)"),
      quiet: QUIET,
      version: { type: "boolean", help: "show the version" },
      json: JSON_OPTION,
    },
    examples: [
      ["vuname -a", "everything, the view's supervisor and name at the end"],
      ["vuname -x -q && echo in a view", "a question for scripts"],
      ["vuname blue", "call this view blue"],
    ],
    load: () => import("./vuname.ts"),
  },
  {
    name: "view name",
    group: GROUP,
    aliases: ["viewname"],
    summary: "show or set the name of the view",
    usage: "[-p] [-q] [--json] [NEWNAME]",
    options: {
      prompt: flag("p", "text for a prompt: the name, or HOST[SERVER:VIEW] when there is none"),
      quiet: QUIET,
      json: JSON_OPTION,
    },
    examples: [
      ["viewname", "the name of this view"],
      ["viewname blue", "call this view blue"],
    ],
    load: () => import("./viewname.ts"),
  },
  {
    name: "module add",
    group: GROUP,
    aliases: ["vu_insmod", "um_add_service"],
    summary: "put modules into the view",
    usage: "[-p] MODULE[,OPTIONS]…",
    details: ["MODULE is the name of a module that comes with this program, or a file: ./mine.js."],
    options: { permanent: flag("p", "cannot be removed any more") },
    examples: [
      ["vu_insmod unreal", "a module by name"],
      ["vu_insmod -p ./mine.js,verbose", "one of your own, with options, to stay"],
    ],
    load: () => import("./module-add.ts"),
  },
  {
    name: "module remove",
    group: GROUP,
    aliases: ["vu_rmmod", "um_del_service"],
    summary: "take modules out of the view",
    usage: "MODULE…",
    details: [
      "A module that is in use stays, and so does a permanent one, or one of a view around this one.",
    ],
    options: {},
    examples: [["vu_rmmod unreal", "undo vu_insmod"]],
    load: () => import("./module-remove.ts"),
  },
  {
    name: "module list",
    group: GROUP,
    aliases: ["vu_lsmod", "um_ls_service"],
    summary: "list the modules of the view",
    usage: "[--json]",
    options: { json: JSON_OPTION },
    examples: [["vu_lsmod", "a line each: name and description"]],
    load: () => import("./module-list.ts"),
  },
  {
    name: "view alias",
    group: GROUP,
    aliases: ["um_fsalias"],
    summary: "a short name for a mount type; without TYPE remove it, without words list all",
    usage: "[--json] [ALIAS [TYPE]]",
    options: { json: JSON_OPTION },
    examples: [
      ["um_fsalias ext2 umfuseext2", "mount -t ext2 is then mount -t umfuseext2"],
      ["um_fsalias ext2", "no longer"],
    ],
    load: () => import("./fs-alias.ts"),
  },
  {
    name: "view shutdown",
    group: GROUP,
    aliases: ["umshutdown"],
    summary: "end every process of the view: SIGTERM, then after a time SIGKILL",
    usage: "[SECONDS]",
    details: ["Returns at once. SECONDS is 30 if not given; the view ends earlier when all obey."],
    options: {},
    examples: [["umshutdown 5", "five seconds to tidy up"]],
    load: () => import("./umshutdown.ts"),
  },
  {
    name: "view debug",
    group: GROUP,
    aliases: ["vudebug"],
    summary: "switch the debug log of the view",
    usage: "[--json] [+TAGS[:COLOUR] | -TAGS | ?TAGS]… [-- CMD…]",
    details: [
      "TAGS are letters of categories; none stands for all. Without arguments: what is logged.",
      "With CMD the switches hold for it and its children, and end with it. Else they hold for the view.",
      "The log goes to where this command writes its errors. 's' shows the calls that reach the view; to see every call, start the view with --trace.",
      "COLOUR: n w r g b c m y for the text (black white red green blue cyan magenta yellow), capital for the ground, + bright, - dim, _ underlined, * blinking, # reverse.",
    ],
    options: {},
    rawWords: true,
    examples: [
      ["vudebug ?", "the categories, and which are on"],
      ["vudebug +s:r +a", "calls that reach the view, in red, and what they come to"],
      ["vudebug -", "no more"],
      ["vudebug +s -- mount -t tmpfs none /mnt", "only this command"],
    ],
    load: () => import("./vudebug.ts"),
  },
  {
    name: "view attach",
    group: GROUP,
    aliases: ["um_attach"],
    summary: "take a running process into a view, where that is possible",
    usage: "[-V NAME] [--json] PID | NAME PID",
    details: [
      "The process goes on where it is, and sees the view's mounts, names and network from its next call on. What it has open stays what it was.",
      "It must be your own, of one thread (in a view without namespaces of any number), and in no view yet. Exit code 3: no such process or view, 69: not possible, 77: not allowed.",
      "Works from outside: the kernel lets no process in a view's user namespace trace one outside of it. In a view without namespaces (engine C) NAME may be left out.",
    ],
    options: {
      viewname: {
        type: "string",
        short: "V",
        value: "NAME",
        help: "the view; default: the one you are in",
      },
      json: JSON_OPTION,
    },
    examples: [
      ["v2 view attach alice 4711", "process 4711 sees what alice sees"],
      ["um_attach -V alice $$", "this shell, from now on"],
    ],
    load: () => import("./um-attach.ts"),
  },
];
