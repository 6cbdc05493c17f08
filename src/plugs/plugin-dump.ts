/** The plugin `dump` of vde_switch: frames as hexadecimal events on the console. */
import { atoi, MENU_SYNTAX, type PluginFrame, type PluginHost, zeros } from "../vde/index.ts";
import type { SwitchPlugin } from "../vde/index.ts";

const CATEGORY = { in: "dump/packetin", out: "dump/packetout" } as const;

/** Makes it for one switch. */
export function makeDump(host: PluginHost): SwitchPlugin {
  void host.watchFrames(false);
  return {
    name: "dump",
    help: "dump packets",
    commands: [
      { path: "dump", syntax: MENU_SYNTAX, help: "DUMP Packets" },
      {
        path: "dump/active",
        syntax: "0/1",
        help: "start dumping data",
        run: (text) => host.watchFrames(atoi(text) !== 0),
      },
    ],
    categories: [
      { path: CATEGORY.in, tag: 0o101, help: "dump incoming packet" },
      { path: CATEGORY.out, tag: 0o102, help: "dump outgoing packet" },
    ],
    frame: ({ direction, port, octets }: PluginFrame) => {
      const category = CATEGORY[direction];
      if (!host.isHeard(category)) return;
      const hex = Array.from(octets, (octet) => `${octet.toString(16).padStart(2, "0")} `);
      const length = zeros(octets.length, 4);
      host.tell(category, `Pkt: Port ${zeros(port, 4)} len=${length} ${hex.join("")}`);
    },
  };
}
