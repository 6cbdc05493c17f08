/** Scripts for the plugins of a switch: every command, with arguments that are right and wrong. */
import type { Step } from "./console-peers.ts";

function lines(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}

const ANYBODY = "ffffffffffff";
const from = (station: number): string => `0200000000${station.toString(16).padStart(2, "0")}`;
const ipv4 = (source: string): string => `450000280000000040110000${source}0a000002`;
const ipv6 = (source: string): string =>
  `60000000000011fffe80${"0".repeat(24)}${source}fe80${"0".repeat(24)}0001`;

/** Loading, help, categories, unloading. */
export const PLUGINS: readonly Step[] = lines(`
plugin/add pdump
plugin/add pdump
plugin/add pdump.so
plugin/add dump
plugin/add iplog
plugin/add /usr/lib/vde2/plugins/iplog.so
plugin/add nosuch
plugin/add ./nosuch
plugin/list
plugin/list d
plugin/list dump
plugin/list dumpx
help
help pdump
help dump
help iplog
debug/list
debug/list iplog
debug/list pa
debug/add pdump
debug/list dump
debug/add
debug/list
pdump
pdump/
dump/x
iplog/
plugin/del dumpx
plugin/del dump.so
plugin/del
plugin/list
plugin/del d
plugin/del d
plugin/list
debug/list
pdump/active 1
dump/active 1
plugin/add pdump
debug/list
plugin/del ip
plugin/add ./dump
plugin/list
plugin/del
plugin/del
plugin/del
plugin/list`);

/** Frames as events. */
export const DUMP: readonly Step[] = [
  "plugin/add dump",
  { plug: "a", port: 0 },
  { plug: "b", port: 0 },
  "dump/active 0",
  "dump/active 1",
  "dump/active 1",
  "dump/active x",
  "dump/active 5",
  { send: "a", frame: `${ANYBODY}${from(1)}0800` },
  "debug/add dump",
  { send: "a", frame: `${ANYBODY}${from(1)}0801` },
  "debug/list dump",
  { send: "b", frame: `${from(1)}${from(2)}080045` },
  "dump/active 0",
  { send: "b", frame: `${from(1)}${from(2)}080046` },
  "dump/active 1",
  "debug/del dump/packetin",
  { send: "b", frame: `${from(1)}${from(2)}080047` },
  "debug/add dump",
  "vlan/create 5",
  "port/setvlan 2 5",
  "vlan/addport 5 1",
  { send: "b", frame: `${ANYBODY}${from(2)}080011` },
  "dump/active",
  { send: "b", frame: `${from(1)}${from(2)}080048` },
  "plugin/del d",
  { send: "b", frame: `${from(1)}${from(2)}080049` },
];

/** Frames in a file. */
export const PDUMP: readonly Step[] = [
  "plugin/add pdump",
  "pdump/active",
  "pdump/active x",
  "pdump/active 0",
  "pdump/filename",
  "pdump/buffered",
  "pdump/buffered 1",
  "pdump/buffered x",
  "pdump/buffered 0",
  "pdump/active 1",
  "pdump/active 7",
  "pdump/active -1",
  "pdump/active",
  "pdump/active 1",
  { show: "vde_dump.cap" },
  { plug: "a", port: 0 },
  { plug: "b", port: 0 },
  { plug: "c", port: 5 },
  { send: "a", frame: `${ANYBODY}${from(1)}0800` },
  { show: "vde_dump.cap" },
  { send: "b", frame: `${from(1)}${from(2)}0800${"45".repeat(200)}` },
  { show: "vde_dump.cap" },
  "pdump/filename other.cap",
  "pdump/filename",
  { show: "other.cap" },
  { send: "b", frame: `${from(1)}${from(2)}080046` },
  { show: "other.cap" },
  { show: "vde_dump.cap" },
  "pdump/active 0",
  { send: "b", frame: `${from(1)}${from(2)}080047` },
  { show: "other.cap" },
  "pdump/active 1",
  "pdump/buffered 1",
  { send: "b", frame: `${from(1)}${from(2)}080048` },
  { show: "other.cap" },
  "pdump/active 0",
  "plugin/del pdump",
  { show: "other.cap" },
  "plugin/add pdump",
  "pdump/filename",
  "pdump/filename /nosuch/x",
];

/** Ranges and settings of the address log. */
export const IPLOG: readonly Step[] = lines(`
plugin/add iplog
iplog/showinfo
iplog/logfile
iplog/list
iplog/setgcint
iplog/setexpire
iplog/showinfo
iplog/setgcint 5
iplog/setgcint x
iplog/setgcint -1
iplog/setexpire 7
iplog/setexpire -7
iplog/showinfo
iplog/ipadd
iplog/ipadd 10.0.0.0/8
iplog/ipadd 10.0.0.0/8
iplog/ipadd 10.1.2.3
iplog/ipadd 10.1.2.3/0
iplog/ipadd 10.1.2.3/33
iplog/ipadd 10.1.2.3/x
iplog/ipadd 10.1.2.3/
iplog/ipadd 10.1.2/24
iplog/ipadd 10.1/16
iplog/ipadd 0x0b.010.1
iplog/ipadd 08.0.0.1
iplog/ipadd 1.2.3.4.5
iplog/ipadd 1.2.3.256
iplog/ipadd 4294967296
iplog/ipadd 16909060
iplog/ipadd 192.168.1.5/24
iplog/ipadd fe80::/10
iplog/ipadd fe80::/129
iplog/ipadd fe80::1
iplog/ipadd fe80::1/128
iplog/ipadd 2001:db8::/32
iplog/ipadd fe80::x
iplog/ipadd xx
iplog/ipadd xx/9
iplog/ipadd 10.0.0.0/255.0.0.0
iplog/ipadd 10.0.0.0/255.0.255.0
iplog/ipadd 10.0.0.0/-1
iplog/ipadd 10.0.0.0 255.0.0.0
iplog/list
iplog/ipdel
iplog/ipdel 10.0.0.0/8
iplog/ipdel 10.0.0.0/8
iplog/ipdel 192.168.1.0/24
iplog/ipdel 192.168.1.5/24
iplog/ipdel xx
iplog/ipdel fe80::/10
iplog/list
iplog/iplist
iplog/ipport
iplog/ipport 1
iplog/ipport x
iplog/ipport 999
iplog/ipuser
iplog/ipuser root
iplog/ipuser nosuch
iplog/ipuser 0
iplog/ipuser 12345
iplog/ipsearch
iplog/ipsearch 10.0.0.1
iplog/ipsearch 10.1
iplog/ipsearch xx
iplog/ipsearch ::1
iplog/ipsearch 10.0.0.1/24
iplog/logfile log
iplog/showinfo
iplog/logfile other
iplog/showinfo
iplog/logfile /nosuch/log
iplog/logfile /tmp
iplog/showinfo
iplog/logfile
iplog/showinfo`);

/** Loaded anew, the address log begins from nothing; the system's log. */
export const IPLOG_AGAIN: readonly Step[] = lines(`
plugin/add iplog
iplog/ipadd 10.0.0.0/8
iplog/setexpire 5
debug/add iplog
plugin/del iplog
plugin/add iplog
iplog/list
iplog/showinfo
debug/list iplog
iplog/logfile -`);

/** Addresses that come, move and are listed. */
export const ADDRESSES: readonly Step[] = [
  "plugin/add iplog",
  "debug/add iplog",
  { plug: "a", port: 1 },
  { plug: "b", port: 2 },
  { send: "a", frame: `${ANYBODY}${from(1)}0800${ipv4("0a000001")}` },
  "iplog/iplist",
  "iplog/ipadd 10.0.0.0/8",
  "iplog/ipadd fe80::/10",
  "iplog/logfile log",
  { send: "a", frame: `${ANYBODY}${from(1)}0800${ipv4("0a000001")}` },
  { send: "a", frame: `${ANYBODY}${from(1)}0800${ipv4("0a000001")}` },
  { send: "a", frame: `${ANYBODY}${from(1)}0800${ipv4("c0a80001")}` },
  {
    send: "a",
    frame: `${ANYBODY}${from(1)}080600010800060400020200000000010a0000040000000000000a00`,
  },
  "iplog/iplist",
  { send: "a", frame: `${ANYBODY}${from(3)}86dd${ipv6("0003")}` },
  { send: "b", frame: `${ANYBODY}${from(3)}86dd${ipv6("0003")}` },
  { send: "b", frame: `${ANYBODY}${from(9)}0800${ipv4("0a000001")}` },
  { send: "b", frame: `${ANYBODY}${from(8)}0800${ipv4("0a000001")}` },
  { send: "a", frame: `${ANYBODY}${from(1)}080043${ipv4("0a000007").slice(2)}` },
  { send: "a", frame: `${ANYBODY}${from(1)}080065${ipv4("0a000007").slice(2)}` },
  { send: "a", frame: `${ANYBODY}${from(1)}86dd40${ipv6("0007").slice(2)}` },
  "iplog/iplist",
  "iplog/ipport 1",
  "iplog/ipport 2",
  "iplog/ipport 0",
  "iplog/ipport",
  "iplog/ipuser ME",
  "iplog/ipuser bin",
  "iplog/ipsearch 10.0.0.1",
  "iplog/ipsearch fe80::3",
  "iplog/ipsearch 10.0.0.99",
  { send: "a", frame: `${ANYBODY}${from(4)}810000000800${ipv4("0a000014")}` },
  "vlan/create 5",
  "vlan/addport 5 1",
  { send: "a", frame: `${ANYBODY}${from(4)}810060050800${ipv4("0a000015")}` },
  "vlan/create 6",
  "port/setvlan 2 6",
  { send: "b", frame: `${ANYBODY}${from(5)}0800${ipv4("0a000016")}` },
  "iplog/ipdel 10.0.0.0/8",
  "iplog/ipsearch 10.0.0.1",
  { send: "b", frame: `${ANYBODY}${from(5)}0800${ipv4("0a000016")}` },
  { show: "log" },
  "plugin/del iplog",
  "iplog/iplist",
];
