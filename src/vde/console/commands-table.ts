/** The table of stations ("hash") and the spanning tree. */
import { ERRNO } from "../../base/index.ts";
import { printMac } from "../events.ts";
import type { FstpVlanInfo, StationInfo } from "../management.ts";
import { VLAN_CREATE_MAX } from "../vlans.ts";
import { type ConsoleCommand, menu, type SessionContext, zeros } from "./command.ts";
import { atoi, scanMac } from "./scan.ts";
import { numbers } from "./commands-ports.ts";

export const HASH_COMMANDS: readonly ConsoleCommand[] = [
  menu("hash", "HASH TABLE MENU"),
  {
    path: "hash/showinfo",
    syntax: "",
    help: "show hash info",
    hasData: true,
    run: ({ management, print }) => {
      const settings = management.tableSettings();
      print(`Hash size ${settings.size}`);
      print(`GC interval ${settings.ageingSeconds} secs`);
      print(`GC expire ${settings.expireSeconds} secs`);
      print(`Min persistence ${settings.minPersistenceSeconds} secs`);
      return 0;
    },
  },
  number("hash/setsize", "change hash size", (m, n) => m.setTableSize(n)),
  number("hash/setgcint", "change garbage collector interval", (m, n) => m.setAgeing(n)),
  number("hash/setexpire", "change hash entries expire time", (m, n) => m.setExpire(n)),
  number("hash/setminper", "minimum persistence time", (m, n) => m.setMinPersistence(n)),
  {
    path: "hash/print",
    syntax: "",
    help: "print the hash table",
    hasData: true,
    run: async ({ management, print }) => {
      const { size } = management.tableSettings();
      const rows = (await management.stations()).map((s) => ({ ...s, bucket: bucket(s, size) }));
      rows.sort((a, b) => a.bucket - b.bucket || a.address - b.address || a.vlan - b.vlan);
      for (const row of rows) print(stationLine(row, row.bucket));
      return 0;
    },
  },
  { path: "hash/find", syntax: "MAC [VLAN]", help: "MAC lookup", hasData: true, run: find },
];

export const FSTP_COMMANDS: readonly ConsoleCommand[] = [
  menu("fstp", "FAST SPANNING TREE MENU"),
  {
    path: "fstp/showinfo",
    syntax: "",
    help: "show fstp info",
    hasData: true,
    run: ({ management, print }) => {
      const { mac, priority, isOn } = management.fstp.info();
      print(`MAC ${mac} Priority ${priority} (0x${(priority >>> 0).toString(16)})`);
      print(`FSTP=${isOn}`);
      return 0;
    },
  },
  {
    path: "fstp/setfstp",
    syntax: "0/1",
    help: "Fast spanning tree protocol 1=ON 0=OFF",
    hasData: true,
    run: ({ management, print }, text) => {
      if (!management.portSettings().isHub) return management.fstp.setOn(atoi(text) !== 0);
      print("Can't use fstp in hub mode");
      return 0;
    },
  },
  numbers("fstp/setedge", "VLAN PORT 1/0", "Define an edge port for a vlan 1=Y 0=N", 3, (m, v) =>
    m.fstp.setEdge(v[0]!, v[1]!, v[2] !== 0),
  ),
  numbers("fstp/bonus", "VLAN PORT COST", "set the port bonus for a vlan", 3, (m, v) =>
    m.fstp.setBonus(v[0]!, v[1]!, v[2]!),
  ),
  {
    path: "fstp/print",
    syntax: "[N]",
    help: "print fst data for the defined vlan",
    hasData: true,
    run: printFstp,
  },
];

function number(
  path: string,
  help: string,
  run: (management: SessionContext["management"], value: number) => Promise<number>,
): ConsoleCommand {
  return { path, syntax: "N", help, run: ({ management }, text) => run(management, atoi(text)) };
}

/**
 * The bucket in which vde_switch shows a station: key of VLAN and octets (first octet lowest),
 * mixed by the multipliers of MurmurHash3's 64-bit finalizer.
 */
function bucket(station: StationInfo, size: number): number {
  let key = 0n;
  for (let at = 0; at < 6; at++) {
    const octet = Math.floor(station.address / 256 ** (5 - at)) % 256;
    key |= BigInt(octet) << BigInt(8 * at);
  }
  key |= BigInt(station.vlan) << 48n;
  key ^= key >> 33n;
  key = BigInt.asUintN(64, key * 0xff51afd7ed558ccdn);
  key ^= key >> 33n;
  key = BigInt.asUintN(64, key * 0xc4ceb9fe1a85ec53n);
  return Number(key & BigInt(size - 1));
}

function stationLine(station: StationInfo, inBucket: number): string {
  return (
    `Hash: ${zeros(inBucket, 4)} Addr: ${printMac(station.address)} ` +
    `VLAN ${zeros(station.vlan, 4)} to port: ${zeros(station.port, 3)}  ` +
    `age ${station.ageSeconds} secs`
  );
}

async function find({ management, print }: SessionContext, text: string): Promise<number> {
  const wanted = scanMac(text);
  if (wanted === undefined) return ERRNO.EINVAL;
  const station = (await management.stations()).find(
    ({ address, vlan }) => address === wanted.address && vlan === wanted.vlan,
  );
  if (station === undefined) return ERRNO.ENODEV;
  // Differs from vde_switch, which prints the number of the next port here.
  print(stationLine(station, bucket(station, management.tableSettings().size)));
  return 0;
}

async function printFstp({ management, print }: SessionContext, text: string): Promise<number> {
  const { isOn } = management.fstp.info();
  const vlans = await management.fstp.vlans();
  if (text === "") {
    for (const vlan of vlans) printFstpVlan(vlan, isOn, print);
    return 0;
  }
  const wanted = atoi(text);
  if (wanted < 0 || wanted > VLAN_CREATE_MAX) return ERRNO.EINVAL;
  const vlan = vlans.find((v) => v.vlan === wanted);
  if (vlan === undefined) return ERRNO.ENXIO;
  printFstpVlan(vlan, isOn, print);
  return 0;
}

function printFstpVlan(info: FstpVlanInfo, isOn: boolean, print: (line: string) => void): void {
  const root = info.isRootSwitch ? "ROOTSWITCH" : "";
  print(`FST DATA VLAN ${zeros(info.vlan, 4)} ${root} ${isOn ? "" : "FSTP IS DISABLED"}`);
  print(` ++ root ${info.root}`);
  print(` ++ designated ${info.designated}`);
  print(
    ` ++ rootport ${zeros(info.rootPort, 4)} cost ${info.cost} age ${info.ageSeconds} ` +
      `bonusport ${zeros(info.bonusPort, 4)} bonuscost ${info.bonusCost}`,
  );
  for (const { port, isTagged, cost, role } of info.ports) {
    print(` -- Port ${zeros(port, 4)} tagged=${Number(isTagged)} portcost=${cost} role=${role}`);
  }
}
