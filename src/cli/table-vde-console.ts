/** The commands that talk to the console of a switch. */
import { type CommandSpec, JSON_OPTION } from "./command.ts";

const GROUP = "Networks";

const CONSOLE: CommandSpec = {
  name: "switch console",
  group: GROUP,
  aliases: ["vdeterm"],
  summary: "talk to a switch: line editing, history, completion",
  usage: "SOCK",
  details: [
    "SOCK is the management socket of a switch (vde_switch --mgmt), a wirefilter or a router.",
    "Commands are completed with the tabulator key, from the switch's own help. Debug lines " +
      "appear above the line being typed. ^D or 'logout' ends the session.",
  ],
  options: {},
  examples: [["v2 vdeterm /tmp/lan.mgmt", "then type: help"]],
  load: () => import("./vdeterm.ts"),
};

const PIPE: CommandSpec = {
  name: "switch pipe",
  group: GROUP,
  aliases: ["unixterm"],
  summary: "join standard input and output to the console of a switch, as it stands",
  usage: "SOCK",
  options: {},
  examples: [["echo showinfo | v2 unixterm /tmp/lan.mgmt", "the octets of a console session"]],
  load: () => import("./unixterm.ts"),
};

const COMMAND: CommandSpec = {
  name: "switch command",
  group: GROUP,
  aliases: ["vdecmd", "unixcmd"],
  summary: "give one command to the console of a switch, for scripts",
  usage: "[-s SOCK] [-f RC] [-v] COMMAND…",
  details: [
    "Prints the data of the reply. The exit code is the errno of the result: 0 for success, 17 " +
      "for 'File exists'; 255 when there is no result.",
    "With -f the dialogue is driven by a state machine: TIMEOUT, IN, SEND, IF, GOTO, SKIP, COPY, " +
      "THROW, RVATOI, EXITATOI, EXITRV, EXIT as in /etc/vde2/vdecmd.",
  ],
  options: {
    s: {
      type: "string",
      short: "s",
      value: "SOCK",
      help: "management socket (/var/run/vdecmd, or the name it was called by)",
    },
    f: {
      type: "string",
      short: "f",
      value: "FILE",
      help: "state machine that drives the dialogue",
    },
    v: { type: "boolean", short: "v", help: "tell each step of the state machine" },
  },
  examples: [
    ["v2 vdecmd -s /tmp/lan.mgmt port/print", "the ports"],
    ["v2 vdecmd -s /tmp/lan.mgmt vlan/create 5", "exit code 17 when VLAN 5 exists"],
  ],
  load: () => import("./vdecmd.ts"),
};

const TOP: CommandSpec = {
  name: "switch top",
  group: GROUP,
  summary: "show the traffic of each port of a switch, live",
  usage: "[--once] [--interval SECONDS] SOCK|DIR",
  details: [
    "SOCK is the management socket of any switch, DIR the directory of one. Rates are those of the " +
      "last interval. A switch that counts no drops shows '-'. q or ^C ends.",
  ],
  options: {
    once: { type: "boolean", help: "measure one interval, print, end" },
    interval: { type: "string", short: "i", value: "SECONDS", help: "time between readings (1)" },
    json: JSON_OPTION,
  },
  examples: [
    ["v2 switch top /tmp/lan.mgmt", "frames and bits per second of every port"],
    ["v2 switch top --once --json /tmp/lan.mgmt", "one reading for a script"],
  ],
  load: () => import("./switch-top.ts"),
};

export const VDE_CONSOLE_COMMANDS: readonly CommandSpec[] = [CONSOLE, PIPE, COMMAND, TOP];
