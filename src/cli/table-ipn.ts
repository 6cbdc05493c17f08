/** The command that makes a bus of processes. */
import type { CommandSpec } from "./command.ts";

const IPN: CommandSpec = {
  name: "ipn",
  group: "Networks",
  summary: "run a named bus that processes, interfaces and streams join",
  usage: "[--policy broadcast|switch] [--member VNL]… NAME",
  details: [
    "NAME is a path, or a name for a directory of the user's; the directory is printed. Processes " +
      "join as they join a switch: v2 plug DIR, vde_plug, libvdeplug, QEMU.",
    "Policy broadcast: everything sent reaches all others, of 1 to 65535 octets, Ethernet or not. " +
      "Policy switch: Ethernet frames reach those they are for. SIGINT or SIGTERM ends.",
  ],
  options: {
    policy: { type: "string", value: "POLICY", help: "broadcast (the default) or switch" },
    member: {
      type: "string",
      multiple: true,
      value: "VNL",
      help: "join tap://NAME, stream://FILE, raw://FILE, vde://DIR …",
    },
    mode: { type: "string", short: "m", value: "OCTAL", help: "mode of the sockets (600)" },
    dirmode: { type: "string", value: "OCTAL", help: "mode of the directory (2700)" },
    group: { type: "string", short: "g", value: "GROUP", help: "group of sockets and directory" },
    numports: { type: "string", short: "n", value: "N", help: "members at most (32)" },
    "ready-fd": { type: "string", value: "N", help: "write a newline to descriptor N when ready" },
  },
  examples: [
    ["v2 ipn /tmp/bus", "a bus; v2 plug /tmp/bus joins it"],
    ["v2 ipn --policy switch --member tap://t0 lan", "a switch with an interface of this host"],
    ["v2 ipn --member stream:///tmp/in,/tmp/out /tmp/bus", "two FIFOs as a member"],
  ],
  load: () => import("./ipn.ts"),
};

export const IPN_COMMANDS: readonly CommandSpec[] = [IPN];
