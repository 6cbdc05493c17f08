/** Scripts for the console: every command, with arguments that are right and wrong. */
import type { Step } from "./console-peers.ts";

function lines(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}

const ANYBODY = "ffffffffffff";
const from = (station: number): string => `0200000000${station.toString(16).padStart(2, "0")}`;
/** A frame for everybody from a station. */
const broadcast = (station: number, rest = "0800"): string => ANYBODY + from(station) + rest;

/** Listings of an empty switch, help, matching of commands, sessions. */
export const GENERAL: readonly Step[] = [
  ...lines(`
help
help port
help port/se
help vlan
help xyz
 help ds
help  debug
helphash
help port x
showinfo
showinfoextra
showinfo extra
ds/showinfo
ds
debug/list
debug/list port
debug/list port/ep/+x
debug/list xx
debug/add port
debug/add port
debug/add port/ep
debug/add port/
debug/add port/ep/-x
debug/add xx
debug/add  hash
debug/add
debug/add
debug/list
debug/del port/descr
debug/del port/descr
debug/del xx
debug/del
debug/del
plugin/list
plugin/list xx
plugin/add
plugin/add nosuch
plugin/add ./nosuch
plugin/del
plugin/del nosuch
hash/showinfo
fstp/showinfo
port/showinfo
port/print
port/allprint
vlan/print
vlan/allprint
fstp/print
hash/print
# comment
 # comment
foo
port
port/
load
load /nosuch/file
load/nosuch
load PLACE`),
  "",
  "   ",
  "\tds/showinfo",
  "ds/showinfo ",
  { raw: "showinfo\r\n" },
  { raw: "\0\n" },
  { raw: "ds/showinfo\0junk\n" },
  { raw: `${"A".repeat(200)}\n` },
  { raw: "showinfo\nds/showinfo\n" },
  { raw: "ds/showinfo" },
  { raw: "  port/showinfo " },
  "",
  { file: "rc", text: "showinfo\n# comment\nport/create 4\nbogus\nport/create 99\n" },
  { file: "rc2", text: "port/create 5\nload PLACE/rc\nlogout\nshutdown\n\tport/create 6" },
  { file: "rc3", text: "port/create 7\n\nport/create 8\n" },
  "load PLACE/rc",
  "load PLACE/rc2",
  "load PLACE/rc3",
  "load  PLACE/rc",
  "port/allprint",
];

/** Ports and VLANs without a cable. */
export const PORTS: readonly Step[] = lines(`
port/create 3
port/create 3
port/create 0
port/create -1
port/create 33
port/create 32
port/remove 32
port/create
port/create abc
port/create 1x
port/create 010
port/create 0x11
port/create +12
port/createauto
port/createauto 5
port/createautoxyz
port/print 3
port/print x
port/print -1
port/print 999
port/allprint 3
port/allprint 0x3
port/allprint 999
port/setnumports
port/setnumports 3
port/setnumports 0
port/setnumports -5
port/setnumports 100
port/showinfo
port/setnumports 32
port/setvlan 3 5
port/setvlan 3 0
port/setvlan 3 4095
port/setvlan 3 4096
port/setvlan 3 4094
port/setvlan 3 -1
port/setvlan 99 0
port/setvlan 3
port/setvlan
port/setvlan 3,0
port/setvlan  3   0
port/setvlan 010 0
port/setvlan 0xa 4095
port/setvlan 08 0
port/setvlan 3 0x
port/setvlan 3 0 9 9
port/setvlan 99999999999 0
port/allprint
port/allocatable 3 1
port/allocatable 3 0
port/allocatable 3 7
port/allocatable 3 -1
port/allocatable 99 0
port/allocatable 3
port/allocatable 3 x
port/allocatable x 1
port/setuser 3 root
port/allprint 3
port/setuser 3 nobody-knows
port/setuser 3 1
port/setuser 3 2x
port/setuser 3 12345
port/allprint 3
port/setuser 3 NONE
port/setuser 3 ANY
port/setuser 3 any
port/setuser 3 ANY x
port/setuser 3 -1
port/setuser 3 +1
port/setuser 3 daemon x
port/setuser  3  bin
port/allprint 3
port/setuser 99 root
port/setuser 20 root
port/setuser 20 nobody-knows
port/setuser 3
port/setuser
port/setgroup 3 root
port/setgroup 3 nobody-knows
port/setgroup 3 1
port/setgroup 3 54321
port/allprint 3
port/setgroup 3 NONE
port/setgroup 20 root
port/setgroup 3
port/epclose 3 1
port/epclose 20 1
port/epclose 99 1
port/epclose -1 1
port/epclose 3
port/epclose
port/defqlen 5
port/epqlen 1 1 1
port/resetcounter 20
port/resetcounter 3
port/resetcounter
port/resetcounter x
port/resetcounter 500
port/resetcounter -1
port/remove 99
port/remove -1
port/remove 999
port/remove x
port/remove
port/remove 4
port/remove 4
vlan/create 5
vlan/create 5
vlan/create 0
vlan/create -1
vlan/create 4094
vlan/create 4095
vlan/create 4096
vlan/create 4093
vlan/create
vlan/create x
vlan/create 12 3
vlan/print
vlan/allprint
vlan/addport 5 8
vlan/addport 5 8
vlan/addport 5 99
vlan/addport 5 -1
vlan/addport 6 8
vlan/addport 5 20
vlan/addport 5
vlan/addport
vlan/addport 5,8
vlan/addport 9999 8
vlan/addport 12 0x8
vlan/print 5
vlan/allprint 5
vlan/print 6
vlan/print 0
vlan/print 0xc
vlan/allprint 0
vlan/allprint 6
vlan/print x
vlan/print -1
vlan/print 4094
vlan/print 9999
vlan/allprint 9999
vlan/remove 5
port/setvlan 8 5
vlan/allprint
vlan/addport 5 8
vlan/addport 0 8
vlan/allprint
port/allprint 8
vlan/remove 5
vlan/delport 5 8
vlan/delport 0 8
port/setvlan 8 0
vlan/addport 5 8
vlan/delport 5 8
vlan/delport 5 8
vlan/delport 5 99
vlan/delport 6 8
vlan/delport 0 8
vlan/delport -1 8
vlan/delport 12 -1
vlan/allprint
vlan/remove 5
vlan/remove 5
vlan/remove 0
vlan/remove
vlan/remove -1
vlan/remove 4094
vlan/remove 4095
vlan/remove 9999
vlan/addport 12 8
port/remove 8
vlan/allprint
fstp/print 12
fstp/print 13
fstp/print x
fstp/print 4094
fstp/print 9999
fstp/setedge 0 3 1
fstp/setedge 0 3 7
fstp/setedge 0 -1 1
fstp/setedge -1 3 1
fstp/setedge 9999 3 1
fstp/setedge 13 3 1
fstp/setedge 0 99 1
fstp/setedge 0 3
fstp/setedge
fstp/bonus 0 3 100
fstp/bonus 0 20 -7
fstp/print
fstp/bonus -1 3 1
fstp/bonus 9999 3 1
fstp/bonus 13 3 1
fstp/bonus 0 -1 1
fstp/bonus 0 3
fstp/bonus
fstp/setfstp 0
fstp/setfstp x
port/sethub 1
port/showinfo
vlan/print
vlan/allprint
fstp/setfstp 1
fstp/showinfo
port/sethub 0
port/sethub -1
port/showinfo
port/sethub x
port/showinfo
port/sethub
hash/setsize 100
hash/showinfo
hash/setsize 12x
hash/setsize 0
hash/setsize -1
hash/setsize
hash/setsize 1
hash/showinfo
hash/setgcint 5
hash/setgcint 0
hash/setgcint -1
hash/setexpire 50
hash/setexpire x
hash/setexpire -4
hash/setminper 9
hash/setminper
hash/setminper -4
hash/showinfo
hash/find 02:00:00:00:00:01
hash/find 02:00:00:00:00:01 7
hash/find 02.00.00.00.00.01
hash/find 02-00-00-00-00-01
hash/find 020000000001
hash/find 2:0:0:0:0:111
hash/find 2:0:0.0:0:1
hash/find 2 0 0 0 0 1
hash/find 2:0:0:0:0:1 x
hash/find 2:0:0:0:0
hash/find xx
hash/find`);

/** Cables that come, carry frames in VLANs and go, with every event shown. */
export const CABLES: readonly Step[] = [
  "debug/add",
  { plug: "a", port: 0 },
  { plug: "b", port: 5 },
  "port/print",
  "port/print 5",
  { plug: "c", port: 0 },
  { plug: "d", port: 0 },
  { plug: "second", port: 1 },
  "port/print 1",
  { send: "b", frame: broadcast(1) },
  { send: "a", frame: from(1) + from(2) + "080045" },
  "port/print",
  "hash/print",
  "hash/find 02:00:00:00:00:01",
  "hash/find 2:0:0:0:0:2",
  "hash/find 02.00.00.00.00.01 0",
  "hash/find 02:00:00:00:00:01 5",
  "hash/find 02:00:00:00:00:03",
  "hash/find 02:00:00:00:00:01x",
  "vlan/print",
  "vlan/allprint",
  "fstp/print",
  "vlan/create 7",
  "vlan/create 4093",
  "port/setvlan 5 7",
  { send: "b", frame: broadcast(1) },
  "hash/print",
  "hash/find 02:00:00:00:00:01 7",
  "vlan/print",
  "fstp/print",
  "fstp/print 7",
  "port/setvlan 2 4093",
  { send: "c", frame: broadcast(3) },
  "port/setvlan 2 0",
  "port/setvlan 5 4095",
  { send: "b", frame: broadcast(6) },
  "vlan/print",
  "port/print 5",
  "vlan/addport 7 5",
  { send: "b", frame: broadcast(4, "81002007080045") },
  "vlan/print",
  "vlan/allprint",
  "fstp/print 7",
  "hash/print",
  "vlan/delport 7 5",
  "vlan/addport 7 5",
  { send: "b", frame: broadcast(8, "81000008080045") },
  "hash/print",
  "vlan/remove 7",
  "port/setvlan 5 7",
  "port/remove 5",
  "port/epclose 5 0",
  "port/epclose 5 ID(a)",
  "port/resetcounter 5",
  "port/print",
  { send: "a", frame: broadcast(9) },
  "hash/setsize 64",
  "hash/print",
  "port/sethub 1",
  "vlan/print",
  "vlan/allprint",
  { send: "c", frame: broadcast(10) },
  "port/print",
  "port/sethub 0",
  "port/epclose 1 ID(second)",
  "port/epclose 1 ID(a)",
  "port/print",
  "port/allprint",
  { unplug: "c" },
  { unplug: "d" },
  "port/allprint",
  "vlan/allprint",
  "port/setnumports 4",
  "port/create 9",
  "port/setuser 9 ME",
  "port/setgroup 9 root",
  { plug: "e", port: 9 },
  "port/print 9",
  "port/remove 9",
  { unplug: "e" },
  "port/remove 9",
  "port/allocatable 1 0",
  { plug: "f", port: 0 },
  "port/print",
  "logout",
];

/** The spanning tree on and off, at a switch without neighbours. */
export const TREE: readonly Step[] = [
  { plug: "a", port: 0 },
  "fstp/setfstp 1",
  "fstp/setfstp 1",
  "fstp/showinfo",
  "fstp/print",
  "fstp/print 0",
  "vlan/allprint",
  "fstp/setedge 0 1 1",
  "fstp/print",
  "fstp/setedge 0 1 0",
  "fstp/bonus 0 1 100",
  "fstp/print",
  "vlan/create 7",
  "fstp/print 7",
  "vlan/addport 7 1",
  "fstp/print 7",
  "port/sethub 1",
  "fstp/showinfo",
  "fstp/setfstp 1",
  "port/sethub 0",
  "fstp/setfstp 1",
  "fstp/setfstp 0",
  "fstp/print",
  "fstp/showinfo",
];
