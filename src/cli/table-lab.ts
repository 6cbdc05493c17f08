/** The commands that run topologies of switches and views. */
import type { CommandSpec } from "./command.ts";

const JSON_OPTION = { type: "boolean", help: "print JSON" } as const;

export const LAB_COMMANDS: readonly CommandSpec[] = [
  {
    name: "lab up",
    group: "Labs",
    summary: "start the switches and views of a topology file",
    usage: "[--foreground] FILE",
    details: [
      "Returns when everything runs. The lab lives until 'v2 lab down', or until its runner dies.",
    ],
    options: {
      foreground: { type: "boolean", help: "stay; end the lab at SIGINT or SIGTERM" },
      "ready-fd": { type: "string", value: "N", help: "write a line to descriptor N when it runs" },
    },
    examples: [["v2 lab up examples/first-square.yaml", "alice and bob on a switch"]],
    load: () => import("./lab-up.ts"),
  },
  {
    name: "lab down",
    group: "Labs",
    summary: "end a running lab and remove everything it had",
    usage: "NAME|FILE",
    options: {},
    examples: [["v2 lab down first-square", "nothing is left"]],
    load: () => import("./lab-down.ts"),
  },
  {
    name: "lab status",
    group: "Labs",
    summary: "show the nodes of the running labs",
    usage: "[--json] [NAME|FILE]",
    options: { json: JSON_OPTION },
    examples: [["v2 lab status", "nodes, states, links and addresses"]],
    load: () => import("./lab-status.ts"),
  },
  {
    name: "lab exec",
    group: "Labs",
    summary: "run a command in a view of a running lab",
    usage: "NAME|FILE NODE [-- CMD…]",
    details: ["CMD (default: your shell) keeps terminal, job control and exit status."],
    options: {},
    stopAtFirstWord: true,
    examples: [["v2 lab exec first-square alice -- ping -c 3 bob", "as alice"]],
    load: () => import("./lab-exec.ts"),
  },
  {
    name: "lab prune",
    group: "Labs",
    summary: "remove what killed labs have left",
    usage: "[--json]",
    options: { json: JSON_OPTION },
    examples: [["v2 lab prune", "also done at each start"]],
    load: () => import("./lab-prune.ts"),
  },
  {
    name: "lab first-square",
    group: "Labs",
    summary: "a small LAN of views, and a shell in one of them",
    usage: "[--once [--json]]",
    details: [
      "Starts a switch and the views alice and bob, IPv4 and IPv6, and gives you a shell in alice;",
      "its end tears everything down. Without a terminal it waits for SIGINT or SIGTERM.",
    ],
    options: {
      once: { type: "boolean", help: "run the checks, one line each; exit 0 when all hold" },
      json: { type: "boolean", help: "with --once: print the results as JSON" },
    },
    examples: [
      ["v2 lab first-square", "a shell in alice: try 'ping bob'"],
      ["v2 lab first-square --once", "prove that it works on this machine"],
    ],
    load: () => import("./lab-first-square.ts"),
  },
];
