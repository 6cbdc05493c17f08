/** The commands that record what passes a switch. */
import type { CommandSpec } from "./command.ts";

const CAPTURE: CommandSpec = {
  name: "capture",
  group: "Networks",
  summary: "record what reaches a port of a running switch as pcapng",
  usage: "[-w FILE|-] [--port N|--vlan N|--all] SWITCH[PORT]",
  details: [
    "Plugs into the switch like any cable. In a hub it sees everything, in a switch what goes to " +
      "everybody and to unknown stations; with the port of another cable, all that is sent there.",
    "With --port, --vlan or --all the switch itself captures, both ways: a switch of ours with a " +
      "management socket, named by that socket or by its directory, run by you or by root.",
  ],
  options: {
    write: {
      type: "string",
      short: "w",
      value: "FILE",
      help: "file or FIFO to write to; -: standard output, which is the default",
    },
    port: { type: "string", value: "N", help: "what enters and leaves by this port" },
    vlan: { type: "string", value: "N", help: "what enters and leaves in this VLAN" },
    all: { type: "boolean", help: "everything that enters the switch" },
    direction: { type: "string", value: "DIR", help: "of the switch: in, out or both" },
    count: { type: "string", short: "c", value: "N", help: "end after N frames" },
    host: { type: "string", value: "MAC", help: "only frames from or to this address" },
    type: {
      type: "string",
      value: "TYPE",
      help: "only this EtherType: ip, arp, ip6, vlan, 0x88cc",
    },
  },
  examples: [
    ["v2 capture /tmp/lan | tcpdump -n -r -", "print frames as they come"],
    ["v2 capture -w lan.pcapng --type arp '/tmp/lan[3]'", "what port 3 gets of ARP"],
    ["v2 capture --port 3 /tmp/lan | tshark -r -", "both ways of port 3, as the switch sees it"],
  ],
  load: () => import("./capture.ts"),
};

const EXTCAP: CommandSpec = {
  name: "extcap",
  group: "Networks",
  aliases: ["v2-extcap"],
  summary: "show the running switches to Wireshark as interfaces",
  usage: "--install",
  details: [
    "Wireshark asks by the other options. Interfaces are named vde:DIR; each captures as " +
      "'v2 capture --all DIR' does, or 'v2 capture DIR' if the switch cannot do that. " +
      "Wireshark run as root looks for no programs of a user.",
  ],
  options: {
    install: { type: "boolean", help: "make the program known to the user's Wireshark" },
    "extcap-interfaces": { type: "boolean", help: "list the running switches" },
    "extcap-interface": { type: "string", value: "NAME", help: "the one that is meant" },
    "extcap-dlts": { type: "boolean", help: "list its link types" },
    "extcap-config": { type: "boolean", help: "list its options" },
    "extcap-version": { type: "string", value: "N", help: "version of Wireshark" },
    "extcap-capture-filter": { type: "string", value: "TEXT", help: "not used" },
    capture: { type: "boolean", help: "capture into the FIFO" },
    fifo: { type: "string", value: "FILE", help: "where the capture goes" },
    port: { type: "string", value: "N", help: "port of the switch (any)" },
    vlan: { type: "string", value: "N", help: "VLAN of the switch (all)" },
    direction: { type: "string", value: "DIR", help: "of the switch: in, out or both" },
  },
  examples: [
    ["v2 extcap --install", "once; then the switches are in Wireshark's list"],
    ["tshark -i vde:/tmp/lan", "the same without a window"],
  ],
  load: () => import("./extcap.ts"),
};

export const VDE_CAPTURE_COMMANDS: readonly CommandSpec[] = [CAPTURE, EXTCAP];
