/** Commands of View-OS. */
import { type CommandSpec, JSON_OPTION } from "./command.ts";

export const VIEW_COMMANDS: readonly CommandSpec[] = [
  {
    name: "view",
    group: "Views",
    summary: "run a command with its own view of mounts, names and network",
    usage:
      "[--name N] [--root] [--net SWITCH[,ip=…][,mac=…]]… [--mount SPEC]… [--trace[=CLASS[,CLASS…]]] [--trace-to FILE] [--json] [--engine=E] [-- CMD…]",
    details: [
      "CMD (default: your shell) runs as you, with your files, terminal, job control and exit status.",
      "What it mounts (mount, vumount, FUSE servers) is seen in the view only.",
      "A trace shows the system calls of CMD and its children as they are made; it changes none.",
    ],
    options: {
      name: { type: "string", value: "N", help: "name of the view, also its host name" },
      root: { type: "boolean", help: "appear as uid 0 (without any right outside the view)" },
      net: {
        type: "string",
        multiple: true,
        value: "SWITCH[,ip=A/P]",
        help: "own network, with a cable to a VDE switch (ip=, mac=, mtu=, gw=, if=, via=)",
      },
      mount: {
        type: "string",
        multiple: true,
        value: "TYPE:SOURCE:TARGET[:OPTIONS]",
        help: "mount made before CMD starts, e.g. tmpfs::/mnt or bind:/data:/mnt",
      },
      trace: {
        type: "string",
        optionalValue: true,
        value: "CLASS,…",
        help: "show calls: path, exec, mount, names, socket (default), other classes, or names of calls",
      },
      "trace-to": {
        type: "string",
        value: "FILE",
        help: "write the trace there instead of to standard error",
      },
      json: { type: "boolean", help: "trace as JSON, one object per line" },
      engine: {
        type: "string",
        value: "auto|A|B|C|D",
        help: "how: userns+fuse (A), userns (B), notify (C) or ptrace (D); default: the best here",
      },
    },
    stopAtFirstWord: true,
    examples: [
      ["v2 view", "your shell in a view"],
      ["v2 view --mount tmpfs::/mnt -- make -C /mnt", "a command with a private /mnt"],
      ["v2 view --name alice --net /tmp/lan,ip=10.77.0.2/24", "a host on a virtual LAN"],
      ["v2 view --trace=path,exec -- make", "which files and programs a build uses"],
      ["v2 view --trace-to calls.json --json -- ./configure", "the same for a program to read"],
    ],
    load: () => import("./view.ts"),
  },
  {
    name: "view exec",
    group: "Views",
    summary: "run a command in a running view",
    usage: "NAME [-- CMD…]",
    options: {},
    stopAtFirstWord: true,
    examples: [["v2 view exec alice -- ip addr", "what alice sees"]],
    load: () => import("./view-exec.ts"),
  },
  {
    name: "view list",
    group: "Views",
    summary: "list the running named views",
    usage: "[--json]",
    options: { json: JSON_OPTION },
    examples: [["v2 view list", "names and process numbers"]],
    load: () => import("./view-list.ts"),
  },
  {
    name: "mount",
    group: "Views",
    aliases: ["vumount", "viewmount"],
    summary: "mount inside a view, without the checks of mount(8)",
    usage: "[-t TYPE] [-o OPTIONS] [-r] [-B | -R | -M] SOURCE TARGET",
    options: {
      type: { type: "string", short: "t", value: "TYPE", help: "file system type" },
      options: { type: "string", short: "o", value: "LIST", help: "options, comma-separated" },
      "read-only": { type: "boolean", short: "r", help: "same as -o ro" },
      "read-write": { type: "boolean", short: "w", help: "same as -o rw (default)" },
      bind: { type: "boolean", short: "B", help: "bind a directory or file" },
      rbind: { type: "boolean", short: "R", help: "bind with everything mounted below" },
      move: { type: "boolean", short: "M", help: "move a mount" },
    },
    examples: [["vumount -t tmpfs none /mnt", "an empty /mnt in this view"]],
    load: () => import("./vumount.ts"),
  },
  {
    name: "umount",
    group: "Views",
    aliases: ["vuumount", "viewumount"],
    summary: "unmount inside a view, without the checks of umount(8)",
    usage: "[-f] [-d] TARGET…",
    options: {
      force: { type: "boolean", short: "f", help: "force (MNT_FORCE)" },
      detach: { type: "boolean", short: "d", help: "detach now, clean up later (MNT_DETACH)" },
    },
    examples: [["vuumount /mnt", "undo a mount of this view"]],
    load: () => import("./vuumount.ts"),
  },
];
