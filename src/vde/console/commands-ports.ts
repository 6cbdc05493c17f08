/** Ports and VLANs. */
import { ERRNO } from "../../base/index.ts";
import type { PortInfo, VlanInfo } from "../management.ts";
import { VLAN_CREATE_MAX } from "../vlans.ts";
import { type ConsoleCommand, menu, type SessionContext, zeros } from "./command.ts";
import { atoi, scanIntegers, secondWord } from "./scan.ts";

export const PORT_COMMANDS: readonly ConsoleCommand[] = [
  menu("port", "PORT STATUS MENU"),
  {
    path: "port/showinfo",
    syntax: "",
    help: "show port info",
    hasData: true,
    run: ({ management, print }) => {
      const { ports, isHub } = management.portSettings();
      print(`Numports=${ports}`);
      print(`HUB=${isHub}`);
      print("counters=true");
      return 0;
    },
  },
  {
    path: "port/setnumports",
    syntax: "N",
    help: "set the number of ports",
    run: ({ management }, text) => management.setPorts(atoi(text)),
  },
  {
    path: "port/sethub",
    syntax: "0/1",
    help: "1=HUB 0=switch",
    run: ({ management }, text) => management.setHub(atoi(text) !== 0),
  },
  numbers("port/setvlan", "N VLAN", "set port VLAN (untagged)", 2, (m, [port, vlan]) =>
    m.setPortVlan(port!, vlan!),
  ),
  {
    path: "port/createauto",
    syntax: "",
    help: "create a port with an automatically allocated id (inactive|notallocatable)",
    hasData: true,
    run: async ({ management, print }) => {
      const port = await management.createPort(0);
      if (port < 0) return -port;
      print(`Port ${zeros(port, 4)}`);
      return 0;
    },
  },
  {
    path: "port/create",
    syntax: "N",
    help: "create the port N (inactive|notallocatable)",
    run: async ({ management }, text) => {
      const port = await management.createPort(atoi(text));
      return port < 0 ? -port : 0;
    },
  },
  {
    path: "port/remove",
    syntax: "N",
    help: "remove the port N",
    run: ({ management }, text) => management.removePort(atoi(text)),
  },
  numbers("port/allocatable", "N 0/1", "Is the port allocatable as unnamed? 1=Y 0=N", 2, (m, v) =>
    m.setAllocatable(v[0]!, v[1] !== 0),
  ),
  {
    path: "port/setuser",
    syntax: "N user",
    help: "access control: set user",
    run: ({ management }, text) => restrict(text, (port, who) => management.setUser(port, who)),
  },
  {
    path: "port/setgroup",
    syntax: "N user",
    help: "access control: set group",
    run: ({ management }, text) => restrict(text, (port, who) => management.setGroup(port, who)),
  },
  numbers("port/epclose", "N ID", "remove the endpoint port N/id ID", 2, (m, [port, id]) =>
    m.closeEndpoint(port!, id!),
  ),
  {
    path: "port/defqlen",
    syntax: "LEN",
    help: "set the default queue length for new ports",
    run: ({ management }, text) => management.setDefaultQueue(atoi(text)),
  },
  numbers("port/epqlen", "N ID LEN", "set the lenth of the queue for port N/id IP", 3, (m, v) =>
    m.setQueue(v[0]!, v[1]!, v[2]!),
  ),
  {
    path: "port/resetcounter",
    syntax: "[N]",
    help: "reset the port (N) counters",
    run: ({ management }, text) => management.resetCounters(text === "" ? undefined : atoi(text)),
  },
  numbers("port/suspend", "N 0/1", "stop all traffic of the port N 1=Y 0=N", 2, (m, v) =>
    m.suspendPort(v[0]!, v[1] !== 0),
  ),
  {
    path: "port/print",
    syntax: "[N]",
    help: "print the port/endpoint table",
    hasData: true,
    run: (session, text) => printPorts(session, text, false),
  },
  {
    path: "port/allprint",
    syntax: "[N]",
    help: "print the port/endpoint table (including inactive port)",
    hasData: true,
    run: (session, text) => printPorts(session, text, true),
  },
];

export const VLAN_COMMANDS: readonly ConsoleCommand[] = [
  menu("vlan", "VLAN MANAGEMENT MENU"),
  {
    path: "vlan/create",
    syntax: "N",
    help: "create the VLAN with tag N",
    run: ({ management }, text) => management.createVlan(atoi(text)),
  },
  {
    path: "vlan/remove",
    syntax: "N",
    help: "remove the VLAN with tag N",
    run: ({ management }, text) => management.removeVlan(atoi(text)),
  },
  numbers("vlan/addport", "N PORT", "add port to the vlan N (tagged)", 2, (m, [vlan, port]) =>
    m.addVlanPort(vlan!, port!),
  ),
  numbers("vlan/delport", "N PORT", "delete port from the vlan N (tagged)", 2, (m, v) =>
    m.removeVlanPort(v[0]!, v[1]!),
  ),
  {
    path: "vlan/print",
    syntax: "[N]",
    help: "print the list of defined vlan",
    hasData: true,
    run: (session, text) => printVlans(session, text, false),
  },
  {
    path: "vlan/allprint",
    syntax: "[N]",
    help: "print the list of defined vlan (including inactive port)",
    hasData: true,
    run: (session, text) => printVlans(session, text, true),
  },
];

/** A command whose argument is `count` numbers; fewer are EINVAL. */
export function numbers(
  path: string,
  syntax: string,
  help: string,
  count: number,
  run: (
    management: SessionContext["management"],
    values: readonly number[],
  ) => number | Promise<number>,
): ConsoleCommand {
  return {
    path,
    syntax,
    help,
    run: ({ management }, text) => {
      const { values } = scanIntegers(text, count);
      return values.length < count ? ERRNO.EINVAL : run(management, values);
    },
  };
}

function restrict(
  text: string,
  set: (port: number, who: string) => Promise<number>,
): number | Promise<number> {
  const [port] = scanIntegers(text, 1).values;
  const who = secondWord(text);
  return port === undefined || who === "" ? ERRNO.EINVAL : set(port, who);
}

async function printPorts(
  { management, print }: SessionContext,
  text: string,
  withInactive: boolean,
): Promise<number> {
  const ports = await management.ports();
  const shown = ports.filter((port) => withInactive || port.endpoints.length > 0);
  if (text === "") {
    for (const port of shown) printPort(port, print);
    return 0;
  }
  const number = atoi(text);
  if (number < 0 || number > management.portSettings().ports) return ERRNO.EINVAL;
  const port = shown.find((p) => p.port === number);
  if (port === undefined) return ERRNO.ENXIO;
  printPort(port, print);
  return 0;
}

function printPort(port: PortInfo, print: (line: string) => void): void {
  const isActive = port.endpoints.length > 0;
  const { traffic, currentUser = "NONE", user = "NONE", group = "NONE" } = port;
  const number = (value: number, width: number): string => String(value).padStart(width);
  print(
    `Port ${zeros(port.port, 4)} untagged_vlan=${zeros(port.untaggedVlan, 4)} ` +
      `${isActive ? "" : "IN"}ACTIVE - ${port.isAllocatable ? "" : "NOT "}Unnamed Allocatable` +
      (port.isSuspended ? " SUSPENDED" : ""),
  );
  print(` Current User: ${currentUser} Access Control: (User: ${user} - Group: ${group})`);
  const { framesIn, octetsIn, framesOut, octetsOut } = traffic;
  print(` IN:  pkts ${number(framesIn, 10)}          bytes ${number(octetsIn, 20)}`);
  print(` OUT: pkts ${number(framesOut, 10)}          bytes ${number(octetsOut, 20)}`);
  for (const { id, module, description } of port.endpoints) {
    print(`  -- endpoint ID ${zeros(id, 4)} module ${module.padEnd(12)}: ${description}`);
  }
}

async function printVlans(
  { management, print }: SessionContext,
  text: string,
  withInactive: boolean,
): Promise<number> {
  const vlans = await management.vlans();
  // As vde_switch: a hub has no states to show, except in the long list.
  const hasMembers = withInactive || !management.portSettings().isHub;
  if (text === "") {
    for (const vlan of vlans) printVlan(vlan, print, withInactive, hasMembers);
    return 0;
  }
  const number = atoi(text);
  if (number < (withInactive ? 1 : 0) || number > VLAN_CREATE_MAX) return ERRNO.EINVAL;
  const vlan = vlans.find((v) => v.vlan === number);
  if (vlan === undefined) return ERRNO.ENXIO;
  printVlan(vlan, print, withInactive, hasMembers);
  return 0;
}

function printVlan(
  { vlan, members }: VlanInfo,
  print: (line: string) => void,
  withInactive: boolean,
  hasMembers: boolean,
): void {
  print(`VLAN ${zeros(vlan, 4)}`);
  if (!hasMembers) return;
  for (const { port, isTagged, isActive, state } of members) {
    if (!isActive && !withInactive) continue;
    print(
      ` -- Port ${zeros(port, 4)} tagged=${Number(isTagged)} active=${Number(isActive)} ` +
        `status=${state}`,
    );
  }
}
