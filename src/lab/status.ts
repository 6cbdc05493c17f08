/** What a lab consists of, as rows for people and for programs. */
import { findView } from "../engine/index.ts";
import { connectUnix, closeFd, unixSocket } from "../sys/index.ts";
import { switchDirectory, viewName } from "./state.ts";
import type { Topology } from "./topology.ts";

export interface StatusRow {
  readonly node: string;
  readonly kind: "switch" | "view" | "stack";
  readonly state: "running" | "dead";
  /** Of a view's interfaces; of a switch its directory. */
  readonly addresses: readonly string[];
  readonly links: readonly string[];
}

/** One row per node of a running lab. */
export function statusRows(topology: Topology): StatusRow[] {
  const switches = topology.switches.map((node): StatusRow => {
    const directory = switchDirectory(topology.name, node.name);
    return {
      node: node.name,
      kind: "switch",
      state: isSwitchAlive(directory) ? "running" : "dead",
      addresses: [directory],
      links: [],
    };
  });
  const views = topology.views.map((node): StatusRow => {
    const isAlive = findView(viewName(topology.name, node.name)) !== undefined;
    return {
      node: node.name,
      kind: "view",
      state: isAlive ? "running" : "dead",
      addresses: node.interfaces.flatMap((one) => one.addresses),
      links: node.interfaces.map((one) => {
        const port = one.port === undefined ? "" : `:${one.port}`;
        return `${one.name}-${one.switch}${port}`;
      }),
    };
  });
  const stacks = topology.stacks.map(({ name, interface: one }): StatusRow => {
    const port = one.port === undefined ? "" : `:${one.port}`;
    const isAlive = isSwitchAlive(switchDirectory(topology.name, one.switch));
    return {
      node: name,
      kind: "stack",
      // It lives and dies with the lab's process and its cable.
      state: isAlive ? "running" : "dead",
      addresses: one.addresses,
      links: [`${one.name}-${one.switch}${port}`],
    };
  });
  return [...switches, ...views, ...stacks];
}

/** The rows in columns, with a head line. */
export function statusTable(rows: readonly StatusRow[]): string {
  const cells = [
    ["NODE", "KIND", "STATE", "LINKS", "ADDRESSES"],
    ...rows.map((r) => [r.node, r.kind, r.state, r.links.join(" ") || "-", r.addresses.join(" ")]),
  ];
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
  const lines = cells.map((row) => row.map((cell, i) => cell.padEnd(widths[i]!)).join("  "));
  return `${lines.map((line) => line.trimEnd()).join("\n")}\n`;
}

/** True when a switch listens in the directory. */
function isSwitchAlive(directory: string): boolean {
  const fd = unixSocket("stream");
  const result = connectUnix(fd, `${directory}/ctl`);
  closeFd(fd);
  return result === 0;
}
