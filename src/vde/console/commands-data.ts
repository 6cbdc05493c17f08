/** Commands for programs, which vde_switch does not have: the switch as JSON and as metrics. */
import { ERRNO } from "../../base/index.ts";
import { printMac } from "../events.ts";
import type { MirrorInfo, SwitchManagement } from "../management.ts";
import { printScope } from "../taps.ts";
import type { ConsoleCommand, SessionContext } from "./command.ts";

export const DATA_COMMANDS: readonly ConsoleCommand[] = [
  {
    path: "json",
    syntax: "[what]",
    help: "the switch as JSON: all, or info ports vlans stations fstp mirrors captures impairments",
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
  mirrors: (m) => m.mirrors.list(),
  captures: (m) => m.captures.list(),
  impairments: (m) => m.impairments.list(),
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
      "Frames of a port that went nowhere.",
      ports.flatMap(({ port, drops }) =>
        Object.entries(drops).map(([reason, frames]) => {
          return [`{port="${port}",reason="${snake(reason)}"}`, frames] as const;
        }),
      ),
    ),
    ...(await tapMetrics(management)).flatMap(([name, help, rows]) =>
      family(name, "counter", help, rows),
    ),
  ];
}

type Rows = readonly (readonly [labels: string, value: number])[];

/** Counters of mirrors and captures. */
async function tapMetrics(
  management: SwitchManagement,
): Promise<readonly (readonly [name: string, help: string, rows: Rows])[]> {
  const mirrors = await management.mirrors.list();
  const captures = management.captures.list();
  const impairments = await management.impairments.list();
  return [
    [
      "mirror_copied_frames_total",
      "Copies given to the target of a mirror.",
      mirrors.map((mirror) => [mirrorLabels(mirror), mirror.copied]),
    ],
    [
      "mirror_dropped_frames_total",
      "Copies that the target of a mirror did not get.",
      mirrors.flatMap((mirror) => [
        [mirrorLabels(mirror, "full"), mirror.droppedFull],
        [mirrorLabels(mirror, "absent"), mirror.droppedAbsent],
      ]),
    ],
    [
      "capture_written_frames_total",
      "Frames that a capture wrote.",
      captures.map(({ id, written }) => [`{capture="${id}"}`, written]),
    ],
    [
      "capture_dropped_frames_total",
      "Frames that a capture lost.",
      captures.flatMap(({ id, dropped, unread }) => [
        [`{capture="${id}",reason="slow"}`, dropped],
        [`{capture="${id}",reason="unread"}`, unread],
      ]),
    ],
    [
      "impairment_dropped_frames_total",
      "Frames that the impairment of a port lost.",
      impairments.flatMap(({ port, lost, overflowed }) => [
        [`{port="${port}",reason="lost"}`, lost],
        [`{port="${port}",reason="overflow"}`, overflowed],
      ]),
    ],
  ];
}

function mirrorLabels(mirror: MirrorInfo, reason?: string): string {
  const words = [`source="${printScope(mirror)}"`, `target="${mirror.target}"`];
  if (reason !== undefined) words.push(`reason="${reason}"`);
  return `{${words.join(",")}}`;
}

/** "ownPort" as "own_port". */
function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
