import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { always } from "../../test/properties.ts";
import {
  parseCommands,
  parseInfo,
  parsePorts,
  parseStations,
  parseVlans,
} from "./console-report.ts";

/** As vde_switch 2.3.2 prints them. */
const PORTS = `Port 0001 untagged_vlan=0000 ACTIVE - Unnamed Allocatable
 Current User: root Access Control: (User: NONE - Group: NONE)
 IN:  pkts         12          bytes                 1024
 OUT: pkts          3          bytes         123456789012
  -- endpoint ID 0007 module unix prog   : vdeplug: user=root pid=1914
              unsent packets: 5 max 128
  -- endpoint ID 0009 module tuntap      : tap0
Port 0020 untagged_vlan=4095 INACTIVE - NOT Unnamed Allocatable
 Current User: NONE Access Control: (User: adam - Group: ANY)
 IN:  pkts          0          bytes                    0
 OUT: pkts          0          bytes                    0`;

test("ports are read with users, counters and endpoints", () => {
  const [first, second, ...more] = parsePorts(PORTS.split("\n"));
  assert.deepEqual(more, []);
  assert.deepEqual(first, {
    port: 1,
    untaggedVlan: 0,
    isActive: true,
    isAllocatable: true,
    currentUser: "root",
    user: "NONE",
    group: "NONE",
    in: { frames: 12, octets: 1024 },
    out: { frames: 3, octets: 123_456_789_012 },
    endpoints: [
      { id: 7, module: "unix prog", description: "vdeplug: user=root pid=1914", drops: 5 },
      { id: 9, module: "tuntap", description: "tap0", drops: undefined },
    ],
  });
  assert.equal(second?.isActive, false);
  assert.equal(second?.isAllocatable, false);
  assert.equal(second?.user, "adam");
  assert.equal(second?.group, "ANY");
});

test("a port without counters has none, not zero", () => {
  const [port] = parsePorts(["Port 0001 untagged_vlan=0000 ACTIVE - Unnamed Allocatable"]);
  assert.equal(port?.in, undefined);
});

test("VLANs are read with their ports", () => {
  const lines = [
    "VLAN 0000",
    " -- Port 0002 tagged=0 active=1 status=Forwarding",
    "VLAN 0005",
    " -- Port 0007 tagged=1 active=0 status=Learning",
  ];
  assert.deepEqual(parseVlans(lines), [
    { vlan: 0, ports: [{ port: 2, isTagged: false, isActive: true, status: "Forwarding" }] },
    { vlan: 5, ports: [{ port: 7, isTagged: true, isActive: false, status: "Learning" }] },
  ]);
});

test("stations are read from the hash table", () => {
  const line = "Hash: 0093 Addr: 02:00:00:00:00:0A VLAN 0000 to port: 001  age 12 secs";
  assert.deepEqual(parseStations([line, "something else"]), [
    { address: "02:00:00:00:00:0a", vlan: 0, port: 1, ageSeconds: 12 },
  ]);
});

test("the information of a switch is read, and what is missing stays undefined", () => {
  const lines = ["VDE switch V.2.3.2", "", "pid 12 MAC 00:ff:EC:02:21:4d uptime 29"];
  assert.deepEqual(parseInfo(lines), {
    title: "VDE switch V.2.3.2",
    pid: 12,
    address: "00:ff:ec:02:21:4d",
    uptimeSeconds: 29,
  });
  assert.deepEqual(parseInfo([]), {
    title: "",
    pid: undefined,
    address: undefined,
    uptimeSeconds: undefined,
  });
});

test("commands and menus are read from help, long paths too", () => {
  const help = `COMMAND PATH       SYNTAX          HELP
------------       --------------  ------------
port               ============    PORT STATUS MENU
port/setvlan       N VLAN          set port VLAN (untagged)
logout                             logout from this mgmt terminal
a/very/long/path/of/a/command N               does it`;
  assert.deepEqual(parseCommands(help.split("\n")), [
    { path: "port", syntax: "", help: "PORT STATUS MENU", isMenu: true },
    { path: "port/setvlan", syntax: "N VLAN", help: "set port VLAN (untagged)", isMenu: false },
    { path: "logout", syntax: "", help: "logout from this mgmt terminal", isMenu: false },
    { path: "a/very/long/path/of/a/command", syntax: "N", help: "does it", isMenu: false },
  ]);
});

test("foreign lines never throw", () => {
  const known = fc.constantFrom(...PORTS.split("\n"), "VLAN 1", "-- Port 1", "Hash: 1 Addr: ");
  always(fc.array(fc.oneof(known, fc.string()), { maxLength: 30 }), (lines) => {
    for (const port of parsePorts(lines)) assert.ok(Number.isInteger(port.port));
    parseVlans(lines);
    parseStations(lines);
    parseInfo(lines);
    parseCommands(lines);
  });
});
