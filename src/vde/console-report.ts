/**
 * What the data blocks of a switch's console mean: ports, VLANs, hash table, settings. The lines
 * are those of vde_switch 2.3 (and of its successors, which add some); a line that is not
 * understood is skipped, never an error, because each generation of switches adds its own.
 */

/** A cable in a port. */
export interface EndpointReport {
  /** As `port/epclose` wants it. */
  readonly id: number;
  /** "unix prog", "tuntap" … */
  readonly module: string;
  readonly description: string;
  /** Frames thrown away because the cable took no more; undefined: the switch does not say. */
  readonly drops: number | undefined;
}

/** Frames and octets in one direction. */
export interface TrafficReport {
  readonly frames: number;
  readonly octets: number;
}

export interface PortReport {
  readonly port: number;
  /** VLAN of frames without a tag; 4095: none. */
  readonly untaggedVlan: number;
  readonly isActive: boolean;
  /** May be given to a client that asks for any port. */
  readonly isAllocatable: boolean;
  /** Who uses it now: "root", "NONE". */
  readonly currentUser: string;
  /** Who may use it: a name, "NONE" or "ANY". */
  readonly user: string;
  readonly group: string;
  /** From the cables into the switch; undefined: the switch keeps no counters. */
  readonly in: TrafficReport | undefined;
  readonly out: TrafficReport | undefined;
  readonly endpoints: readonly EndpointReport[];
}

type Draft<T> = { -readonly [key in keyof T]: T[key] };
type PortDraft = Draft<Omit<PortReport, "endpoints">> & { endpoints: Draft<EndpointReport>[] };

const PORT = /^Port (\d+) untagged_vlan=(\d+) (ACTIVE|INACTIVE) - (NOT )?Unnamed Allocatable/;
const USERS = /^\s*Current User: (\S+)\s+Access Control: \(User: (\S+) - Group: (\S+)\)/;
const TRAFFIC = /^\s*(IN|OUT):\s+pkts\s+(\d+)\s+bytes\s+(\d+)/;
const ENDPOINT = /^\s*-- endpoint ID (\d+) module (.*?) *: ?(.*)$/;
const UNSENT = /^\s*unsent packets: (\d+)/;
const DROPS = /\bdrop(?:s|ped)?[ :=]+(\d+)/;

/** The ports in the data of `port/print` or `port/allprint`. */
export function parsePorts(lines: readonly string[]): readonly PortReport[] {
  const ports: PortDraft[] = [];
  for (const line of lines) {
    const head = PORT.exec(line);
    if (head !== null) ports.push(newPort(head));
    else if (ports.length > 0) addToPort(ports.at(-1)!, line);
  }
  return ports;
}

function newPort(head: RegExpExecArray): PortDraft {
  return {
    port: Number(head[1]),
    untaggedVlan: Number(head[2]),
    isActive: head[3] === "ACTIVE",
    isAllocatable: head[4] === undefined,
    currentUser: "NONE",
    user: "NONE",
    group: "NONE",
    in: undefined,
    out: undefined,
    endpoints: [],
  };
}

function addToPort(port: PortDraft, line: string): void {
  const endpoint = ENDPOINT.exec(line);
  if (endpoint !== null) {
    const [, id, module, description] = endpoint;
    port.endpoints.push({
      id: Number(id),
      module: module!,
      description: description!,
      drops: undefined,
    });
    return;
  }
  const traffic = TRAFFIC.exec(line);
  if (traffic !== null) {
    port[traffic[1] === "IN" ? "in" : "out"] = {
      frames: Number(traffic[2]),
      octets: Number(traffic[3]),
    };
    return;
  }
  const users = USERS.exec(line);
  if (users !== null) {
    [, port.currentUser, port.user, port.group] = users as unknown as [
      string,
      string,
      string,
      string,
    ];
    return;
  }
  const drops = UNSENT.exec(line) ?? DROPS.exec(line);
  const last = port.endpoints.at(-1);
  if (drops !== null && last !== undefined) last.drops = (last.drops ?? 0) + Number(drops[1]);
}

/** A port's place in a VLAN. */
export interface VlanPortReport {
  readonly port: number;
  readonly isTagged: boolean;
  readonly isActive: boolean;
  /** "Discarding", "Learning", "Forwarding". */
  readonly status: string;
}

export interface VlanReport {
  readonly vlan: number;
  readonly ports: readonly VlanPortReport[];
}

const VLAN = /^VLAN (\d+)/;
const VLAN_PORT = /^\s*-- Port (\d+) tagged=([01]) active=([01]) status=(\S+)/;

/** The VLANs in the data of `vlan/print` or `vlan/allprint`. */
export function parseVlans(lines: readonly string[]): readonly VlanReport[] {
  const vlans: { vlan: number; ports: VlanPortReport[] }[] = [];
  for (const line of lines) {
    const head = VLAN.exec(line);
    if (head !== null) {
      vlans.push({ vlan: Number(head[1]), ports: [] });
      continue;
    }
    const member = VLAN_PORT.exec(line);
    if (member === null) continue;
    vlans.at(-1)?.ports.push({
      port: Number(member[1]),
      isTagged: member[2] === "1",
      isActive: member[3] === "1",
      status: member[4]!,
    });
  }
  return vlans;
}

/** A station that a switch knows. */
export interface StationReport {
  /** "02:00:00:00:00:01". */
  readonly address: string;
  readonly vlan: number;
  readonly port: number;
  /** Since its last frame. */
  readonly ageSeconds: number;
}

const STATION = /^Hash: \d+ Addr: ([\da-f:]{17}) VLAN (\d+) to port: (\d+)\s+age (-?\d+) sec/i;

/** The stations in the data of `hash/print` or `hash/find`. */
export function parseStations(lines: readonly string[]): readonly StationReport[] {
  return lines.flatMap((line) => {
    const match = STATION.exec(line);
    if (match === null) return [];
    const [, address, vlan, port, age] = match;
    return [
      {
        address: address!.toLowerCase(),
        vlan: Number(vlan),
        port: Number(port),
        ageSeconds: Number(age),
      },
    ];
  });
}

/** What `showinfo` says. */
export interface ReportedInfo {
  /** First line: name and version. */
  readonly title: string;
  readonly pid: number | undefined;
  readonly address: string | undefined;
  readonly uptimeSeconds: number | undefined;
}

/** The data of `showinfo`; what a program does not tell is undefined. */
export function parseInfo(lines: readonly string[]): ReportedInfo {
  const all = lines.join("\n");
  const number = (match: RegExpExecArray | null) => (match === null ? undefined : Number(match[1]));
  return {
    title: lines[0] ?? "",
    pid: number(/^pid (\d+)/m.exec(all)),
    address: /^pid .*\bMAC ([\da-f:]{17})/im.exec(all)?.[1]?.toLowerCase(),
    uptimeSeconds: number(/^pid .*\buptime (\d+)/m.exec(all)),
  };
}

/** One line of `help`: a command, or a menu of commands. */
export interface CommandReport {
  readonly path: string;
  /** Its arguments as `help` writes them: "N VLAN". */
  readonly syntax: string;
  readonly help: string;
  readonly isMenu: boolean;
}

/** Where the columns of `help` begin: "%-18s %-15s %s". */
const SYNTAX_AT = 19;
const HELP_AT = 35;
const MENU = /^=+$/;

/** The commands in the data of `help`. */
export function parseCommands(lines: readonly string[]): readonly CommandReport[] {
  const header = lines.findIndex((line) => /^-{4,}\s+-{4,}/.test(line));
  return lines.slice(header + 1).flatMap((line) => {
    const path = /^[A-Za-z]\S*/.exec(line)?.[0];
    if (path === undefined) return [];
    // A long path pushes the other columns to the right.
    const shift = Math.max(path.length + 1 - SYNTAX_AT, 0);
    const syntax = line.slice(SYNTAX_AT + shift, HELP_AT + shift).trim();
    const help = line.slice(HELP_AT + shift).trim();
    const isMenu = MENU.test(syntax);
    return [{ path, syntax: isMenu ? "" : syntax, help, isMenu }];
  });
}
