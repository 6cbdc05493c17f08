/** The commands of Virtual Distributed Ethernet: switch and plug. */
import type { CommandSpec } from "./command.ts";

const SWITCH: CommandSpec = {
  name: "switch",
  group: "Networks",
  aliases: ["vde_switch"],
  summary: "run a virtual Ethernet switch in a directory",
  usage: "[--sock DIR] [--tap NAME]…",
  details: [
    "Everything that can plug into a VDE switch can plug into DIR: v2 plug, vde_plug, QEMU, views.",
    "Commands come from standard input (try help) and from the sockets of --mgmt; the switch ends",
    "at the end of standard input unless --nostdin is given.",
  ],
  options: {
    sock: { type: "string", short: "s", value: "DIR", help: "directory of the switch" },
    vdesock: { type: "string", value: "DIR", help: "the same" },
    unix: { type: "string", value: "DIR", help: "the same" },
    mode: { type: "string", short: "m", value: "OCTAL", help: "mode of the sockets (600)" },
    dirmode: { type: "string", value: "OCTAL", help: "mode of the directory (2700)" },
    group: { type: "string", short: "g", value: "GROUP", help: "group of sockets and directory" },
    numports: { type: "string", short: "n", value: "N", help: "number of ports (32)" },
    hub: { type: "boolean", short: "x", help: "repeat every frame to every port" },
    tap: {
      type: "string",
      short: "t",
      multiple: true,
      value: "NAME",
      help: "plug a TAP interface into the switch",
    },
    capture: {
      type: "string",
      multiple: true,
      value: "FILE[,port=N]",
      help: "write the frames of the switch, or of a port, as pcapng to a file or FIFO",
    },
    "metrics-file": {
      type: "string",
      value: "FILE",
      help: "keep the counters in FILE as Prometheus text, for a collector of such files",
    },
    "metrics-interval": {
      type: "string",
      value: "SECONDS",
      help: "time between two versions of that file (10)",
    },
    macaddr: {
      type: "string",
      value: "MAC",
      help: "address of the switch (for the spanning tree)",
    },
    fstp: { type: "boolean", short: "F", help: "speak the fast spanning tree protocol" },
    priority: { type: "string", value: "N", help: "priority in the spanning tree (32768)" },
    rcfile: {
      type: "string",
      short: "f",
      value: "FILE",
      help: "commands to start with (~/.vde2/vde_switch.rc, else /etc/vde2/vde_switch.rc)",
    },
    mgmt: { type: "string", short: "M", value: "SOCKET", help: "serve the console on a socket" },
    mgmtmode: { type: "string", value: "OCTAL", help: "mode of that socket (600)" },
    mgmtgroup: { type: "string", value: "GROUP", help: "group of that socket" },
    debugclients: { type: "string", short: "D", value: "N", help: "ignored, as by vde_switch" },
    hashsize: { type: "string", value: "N", help: "room for at least N stations" },
    daemon: { type: "boolean", short: "d", help: "run in the background" },
    pidfile: {
      type: "string",
      short: "p",
      value: "FILE",
      help: "write the process number to FILE",
    },
    nostdin: { type: "boolean", help: "go on at the end of standard input" },
    json: { type: "boolean", help: "print the state as a line of JSON at each SIGUSR2" },
    "ready-fd": { type: "string", value: "N", help: "write a newline to descriptor N when ready" },
    version: { type: "boolean", short: "v", help: "print the version" },
  },
  examples: [
    ["v2 switch --sock /tmp/lan", "a switch; end it with ^D or ^C"],
    ["v2 switch -s /tmp/lan -d -p /tmp/lan.pid", "the same in the background"],
    ["v2 switch -s /tmp/lan --capture /tmp/lan.pcapng", "with everything recorded"],
  ],
  load: () => import("./switch.ts"),
};

const PLUG: CommandSpec = {
  name: "plug",
  group: "Networks",
  aliases: ["vde_plug"],
  summary: "connect a switch to standard input and output, to a switch, or to a command",
  usage: "[VNL [VNL]] | [VNL] = COMMAND [ARG]…",
  details: [
    "A VNL is SCHEME://ADDRESS, or a switch's directory with an optional [PORT].",
    "On streams each frame follows its length as 16 bits, most significant octet first.",
  ],
  options: {
    descr: { type: "string", short: "D", value: "TEXT", help: "what the switch shows for it" },
    port: { type: "string", value: "N", help: "port of the first switch" },
    port2: { type: "string", value: "N", help: "port of the second switch" },
    reconnect: { type: "boolean", help: "plug in again when the first switch comes back" },
  },
  stopAtFirstWord: true,
  examples: [
    ["v2 plug /tmp/lan /tmp/other", "join two switches"],
    ["v2 plug /tmp/lan = ssh host v2 plug /tmp/lan", "join switches of two hosts"],
    ["dpipe v2 plug /tmp/a = v2 plug /tmp/b", "the same with a bidirectional pipe"],
  ],
  load: () => import("./plug.ts"),
};

export const VDE_COMMANDS: readonly CommandSpec[] = [SWITCH, PLUG];
