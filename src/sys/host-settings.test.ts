import assert from "node:assert/strict";
import { test } from "node:test";
import {
  appArmorProfile,
  type HostSettings,
  kernelParameter,
  namespaceRefusal,
} from "./host-settings.ts";

/** An imagined machine, seen by an ordinary user. */
const machine = (
  values: { readonly [name: string]: string },
  more: Partial<HostSettings> = {},
): HostSettings => ({
  parameter: (name) => values[name],
  label: "unconfined",
  isRoot: false,
  ...more,
});
const refusalOfUser = (host: HostSettings) => namespaceRefusal("user", host);
const LIMIT = "user.max_user_namespaces";
const CLONE = "kernel.unprivileged_userns_clone";
const APPARMOR = "kernel.apparmor_restrict_unprivileged_userns";

test("a machine that sets none of the settings, or sets them to allow, refuses nothing", () => {
  assert.equal(refusalOfUser(machine({})), undefined);
  const allowing = machine({ [CLONE]: "1", [LIMIT]: "96365", [APPARMOR]: "0" });
  assert.equal(refusalOfUser(allowing), undefined);
});

test("a limit of zero user namespaces is named, for root too, with the setting that lifts it", () => {
  for (const isRoot of [false, true]) {
    const refusal = refusalOfUser(machine({ [LIMIT]: "0" }, { isRoot }));
    assert.equal(refusal?.reason, "user.max_user_namespaces is 0");
    assert.match(refusal?.remedy ?? "", /sysctl -w user\.max_user_namespaces=\d+/);
  }
});

test("settings against ordinary users bind ordinary users and not root", () => {
  for (const name of [CLONE, APPARMOR]) {
    const wrong = name === CLONE ? "0" : "1";
    assert.ok(refusalOfUser(machine({ [name]: wrong }))?.reason.includes(name));
    assert.equal(refusalOfUser(machine({ [name]: wrong }, { isRoot: true })), undefined);
  }
});

test("AppArmor's restriction comes with a profile, and a program that has one is not refused", () => {
  const refusal = refusalOfUser(machine({ [APPARMOR]: "1" }));
  assert.ok(refusal?.remedy.includes(appArmorProfile(process.execPath)));
  const profiled = machine({ [APPARMOR]: "1" }, { label: "v2-node (unconfined)" });
  assert.equal(refusalOfUser(profiled), undefined);
});

test("the AppArmor profile names the program and allows user namespaces", () => {
  assert.match(appArmorProfile("/opt/node"), /^profile \S+ \/opt\/node flags=\(unconfined\) \{$/m);
  assert.match(appArmorProfile("/opt/node"), /^ {2}userns,$/m);
});

test("a kernel parameter is read by its dotted name", () => {
  assert.match(kernelParameter("kernel.ostype") ?? "", /^Linux$/);
  assert.equal(kernelParameter("kernel.v2_none_such"), undefined);
});

test("every kind of namespace has a limit of its own, and a reached one is named too", () => {
  const none = machine({ "user.max_net_namespaces": "0" });
  assert.equal(namespaceRefusal("net", none)?.reason, "user.max_net_namespaces is 0");
  assert.equal(namespaceRefusal("uts", none), undefined);
  const few = machine({ "user.max_uts_namespaces": "20000" });
  assert.equal(namespaceRefusal("uts", few), undefined);
  const reached = namespaceRefusal("uts", few, true);
  assert.equal(reached?.reason, "all of user.max_uts_namespaces (20000) are in use");
  assert.match(reached.remedy, /sysctl -w user\.max_uts_namespaces=40000/);
});
