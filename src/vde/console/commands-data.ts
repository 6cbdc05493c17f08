/** Commands for programs, which vde_switch does not have: the switch as JSON and as metrics. */
import { ERRNO } from "../../base/index.ts";
import { printMac } from "../events.ts";
import type { SwitchManagement } from "../management.ts";
import type { ConsoleCommand, SessionContext } from "./command.ts";

export const DATA_COMMANDS: readonly ConsoleCommand[] = [
  {
    path: "json",
    syntax: "[what]",
    help: "the switch as JSON: info ports vlans stations fstp, or all",
    hasData: true,
    run: printJson,
  },
  {
    path: "metrics",
    syntax: "",
    help: "counters as Prometheus text",
    hasData: true,
    run: async ({ management, print }) => {
      for (const line of await metrics(management)) print(line);
      return 0;
    },
  },
];

/** What can be asked for by name, and how it is got. */
const VIEWS: { readonly [name: string]: (management: SwitchManagement) => unknown } = {
  info: (m) => ({ ...m.info(), ...m.portSettings(), table: m.tableSettings() }),
  ports: (m) => m.ports(),
  vlans: (m) => m.vlans(),
  stations: async (m) =>
    (await m.stations()).map((station) => ({ ...station, address: printMac(station.address) })),
  fstp: async (m) => ({ ...m.fstp.info(), vlans: await m.fstp.vlans() }),
};

/** One line of JSON: an object by names, or what was asked for alone. */
async function printJson({ management, print }: SessionContext, text: string): Promise<number> {
  const wanted = text.trim();
  if (wanted !== "") {
    if (!Object.hasOwn(VIEWS, wanted)) return ERRNO.EINVAL;
    print(JSON.stringify(await VIEWS[wanted]!(management)));
    return 0;
  }
  const all: { [name: string]: unknown } = {};
  for (const [name, view] of Object.entries(VIEWS)) all[name] = await view(management);
  print(JSON.stringify(all));
  return 0;
}

/**
 * The counters of a switch in the text format of Prometheus, version 0.0.4: a name, labels, a value
 * per line.
 */
export async function metrics(management: SwitchManagement): Promise<readonly string[]> {
  const ports = await management.ports();
  const { uptimeSeconds } = management.info();
  const { framesDropped, failures } = management.plugins.counters();
  const family = (
    name: string,
    type: "counter" | "gauge",
    help: string,
    rows: readonly (readonly [labels: string, value: number])[],
  ): string[] => [
    `# HELP vde_${name} ${help}`,
    `# TYPE vde_${name} ${type}`,
    ...rows.map(([labels, value]) => `vde_${name}${labels} ${value}`),
  ];
  const byPort = (value: (port: (typeof ports)[number]) => number) =>
    ports.map((port) => [`{port="${port.port}"}`, value(port)] as const);
  return [
    ...family("uptime_seconds", "gauge", "Age of the switch.", [["", uptimeSeconds]]),
    ...family("stations", "gauge", "Stations known.", [["", (await management.stations()).length]]),
    ...family("plugin_dropped_frames_total", "counter", "Copies of frames that plugins missed.", [
      ["", framesDropped],
    ]),
    ...family("plugin_failures_total", "counter", "Times a plugin threw.", [["", failures]]),
    ...family(
      "port_cables",
      "gauge",
      "Cables in a port.",
      byPort((p) => p.endpoints.length),
    ),
    ...family(
      "port_in_frames_total",
      "counter",
      "Frames that came in.",
      byPort((p) => p.traffic.framesIn),
    ),
    ...family(
      "port_in_octets_total",
      "counter",
      "Octets that came in.",
      byPort((p) => p.traffic.octetsIn),
    ),
    ...family(
      "port_out_frames_total",
      "counter",
      "Frames that went out.",
      byPort((p) => p.traffic.framesOut),
    ),
    ...family(
      "port_out_octets_total",
      "counter",
      "Octets that went out.",
      byPort((p) => p.traffic.octetsOut),
    ),
    ...family(
      "port_queued_frames",
      "gauge",
      "Frames that wait to go out.",
      byPort((p) => p.endpoints.reduce((sum, { queued }) => sum + queued, 0)),
    ),
    ...family(
      "port_dropped_frames_total",
      "counter",
      "Frames that the cables now plugged did not take.",
      byPort((p) => p.endpoints.reduce((sum, { dropped }) => sum + dropped, 0)),
    ),
  ];
}
