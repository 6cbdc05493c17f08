import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import {
  appArmorProfile,
  findProgram,
  type HostSettings,
  kernelParameter,
  probeAll,
  userNamespaceRefusal,
} from "./probe.ts";

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
const LIMIT = "user.max_user_namespaces";
const CLONE = "kernel.unprivileged_userns_clone";
const APPARMOR = "kernel.apparmor_restrict_unprivileged_userns";

test("a machine that sets none of the settings, or sets them to allow, refuses nothing", () => {
  assert.equal(userNamespaceRefusal(machine({})), undefined);
  const allowing = machine({ [CLONE]: "1", [LIMIT]: "96365", [APPARMOR]: "0" });
  assert.equal(userNamespaceRefusal(allowing), undefined);
});

test("a limit of zero user namespaces is named, for root too, with the setting that lifts it", () => {
  for (const isRoot of [false, true]) {
    const refusal = userNamespaceRefusal(machine({ [LIMIT]: "0" }, { isRoot }));
    assert.equal(refusal?.reason, "user.max_user_namespaces is 0");
    assert.match(refusal?.remedy ?? "", /sysctl -w user\.max_user_namespaces=\d+/);
  }
});

test("settings against ordinary users bind ordinary users and not root", () => {
  for (const name of [CLONE, APPARMOR]) {
    const wrong = name === CLONE ? "0" : "1";
    assert.ok(userNamespaceRefusal(machine({ [name]: wrong }))?.reason.includes(name));
    assert.equal(userNamespaceRefusal(machine({ [name]: wrong }, { isRoot: true })), undefined);
  }
});

test("AppArmor's restriction comes with a profile, and a program that has one is not refused", () => {
  const refusal = userNamespaceRefusal(machine({ [APPARMOR]: "1" }));
  assert.ok(refusal?.remedy.includes(appArmorProfile(process.execPath)));
  const profiled = machine({ [APPARMOR]: "1" }, { label: "v2-node (unconfined)" });
  assert.equal(userNamespaceRefusal(profiled), undefined);
});

test("the AppArmor profile names the program and allows user namespaces", () => {
  assert.match(appArmorProfile("/opt/node"), /^profile \S+ \/opt\/node flags=\(unconfined\) \{$/m);
  assert.match(appArmorProfile("/opt/node"), /^ {2}userns,$/m);
});

test("a program is found by PATH only when it may be executed", () => {
  const folder = mkdtempSync(join(tmpdir(), "v2-probe-"));
  const before = process.env["PATH"];
  try {
    process.env["PATH"] = folder;
    writeFileSync(join(folder, "v2-none-such"), "");
    chmodSync(join(folder, "v2-none-such"), 0o644);
    assert.equal(findProgram("v2-none-such"), undefined);
    chmodSync(join(folder, "v2-none-such"), 0o755);
    assert.equal(findProgram("v2-none-such"), join(folder, "v2-none-such"));
  } finally {
    process.env["PATH"] = before;
    rmSync(folder, { recursive: true });
  }
});

test("a kernel parameter is read by its dotted name", () => {
  assert.match(kernelParameter("kernel.ostype") ?? "", /^Linux$/);
  assert.equal(kernelParameter("kernel.v2_none_such"), undefined);
});

test("whatever the machine allows, each refusal says why and what to do", () => {
  const found = probeAll();
  assert.equal(new Set(found.map((one) => one.capability)).size, found.length);
  for (const one of found) {
    assert.notEqual(one.neededFor, "", one.capability);
    assert.equal(one.remedy === undefined, one.works, one.capability);
    if (!one.works) assert.notEqual(one.detail, "", one.capability);
  }
});
