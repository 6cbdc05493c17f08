/** Commands on IPv4/IPv6 stacks of our own: `v2 stack …`. */
import { type CommandSpec, JSON_OPTION, type OptionSpec } from "./command.ts";

const GROUP = "Stacks";
const CONF =
  "CONF is a line such as vnl=vde:///tmp/lan,ip=10.0.0.5/24,gw=10.0.0.1: the cable (any locator), " +
  "addresses, routers, also dhcp, auto6 (addresses from router advertisements), mac=, fqdn=, mtu=. " +
  "The " +
  "stack lives in this process and needs no privilege.";

const WAIT: OptionSpec = {
  type: "string",
  short: "W",
  value: "SECONDS",
  help: "wait for an answer",
};

const UP: CommandSpec = {
  name: "stack up",
  group: GROUP,
  summary: "bring an IPv4/IPv6 host up on a cable",
  usage: "CONF",
  details: [CONF, "It answers echo requests until SIGINT or SIGTERM, or until the cable ends."],
  options: {
    once: { type: "boolean", help: "tell addresses and routes, and end" },
    json: JSON_OPTION,
  },
  examples: [["v2 stack up vnl=/tmp/lan,ip=10.0.0.5/24", "a host on a switch that answers ping"]],
  load: () => import("./stack-up.ts"),
};

const PING: CommandSpec = {
  name: "stack ping",
  group: GROUP,
  summary: "ping from a stack",
  usage: "[-c COUNT] CONF ADDRESS",
  details: [CONF],
  options: {
    count: { type: "string", short: "c", value: "COUNT", help: "requests (4)" },
    size: { type: "string", short: "s", value: "OCTETS", help: "octets of data (56)" },
    interval: { type: "string", short: "i", value: "SECONDS", help: "between two requests (1)" },
    wait: { ...WAIT, help: "wait so long for an answer (2)" },
    json: JSON_OPTION,
  },
  examples: [["v2 stack ping vnl=/tmp/lan,ip=10.0.0.5/24 10.0.0.1", "four requests"]],
  load: () => import("./stack-ping.ts"),
};

const TRACEROUTE: CommandSpec = {
  name: "stack traceroute",
  group: GROUP,
  summary: "the routers on the way from a stack",
  usage: "[--hops N] CONF ADDRESS",
  details: [CONF],
  options: {
    hops: { type: "string", value: "N", help: "give up after so many (30)" },
    wait: { ...WAIT, help: "wait so long for each (1)" },
    json: JSON_OPTION,
  },
  examples: [["v2 stack traceroute vnl=/tmp/lan,ip=10.0.0.5/24,gw=10.0.0.1 10.9.0.1", "the way"]],
  load: () => import("./stack-traceroute.ts"),
};

const NC: CommandSpec = {
  name: "stack nc",
  group: GROUP,
  summary: "standard input and output over TCP or UDP of a stack",
  usage: "[-u] CONF ADDRESS PORT | -l PORT CONF",
  details: [CONF],
  options: {
    listen: { type: "string", short: "l", value: "PORT", help: "wait for one connection" },
    udp: { type: "boolean", short: "u", help: "datagrams instead of a connection" },
  },
  examples: [
    ["v2 stack nc -l 9000 vnl=/tmp/lan,ip=10.0.0.5/24 > file", "receive"],
    ["v2 stack nc vnl=/tmp/lan,ip=10.0.0.6/24 10.0.0.5 9000 < file", "send"],
  ],
  load: () => import("./stack-nc.ts"),
};

const GET: CommandSpec = {
  name: "stack get",
  group: GROUP,
  summary: "fetch over HTTP from a stack",
  usage: "CONF http://ADDRESS[:PORT]/PATH",
  details: [CONF],
  options: {},
  examples: [["v2 stack get vnl=/tmp/lan,ip=10.0.0.5/24 http://10.0.0.1/", "a page"]],
  load: () => import("./stack-get.ts"),
};

const SERVE: CommandSpec = {
  name: "stack serve",
  group: GROUP,
  summary: "a small web server on a stack",
  usage: "[--port N] CONF [DIR]",
  details: [CONF, "Serves the files of DIR (this directory), and nothing above it."],
  options: { port: { type: "string", short: "p", value: "N", help: "TCP port (80)" } },
  examples: [["v2 stack serve vnl=/tmp/lan,ip=10.0.0.5/24 /tmp/public", "until SIGINT"]],
  load: () => import("./stack-serve.ts"),
};

export const STACK_COMMANDS: readonly CommandSpec[] = [UP, PING, TRACEROUTE, NC, GET, SERVE];
