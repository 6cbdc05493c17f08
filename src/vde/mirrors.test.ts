import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ERRNO } from "../base/index.ts";
import { MIRRORS_MAX, MirrorTable } from "./mirrors.ts";
import { SwitchModel } from "./switch-model.ts";
import { watchesPort } from "./taps.ts";

test("whatever is asked for, no port is both copied and a target", () => {
  const port = fc.integer({ min: 1, max: 5 });
  const step = fc.record({ port, target: port, isAdded: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const table = new MirrorTable();
      for (const { port: source, target, isAdded } of steps) {
        if (isAdded) table.add({ port: source, direction: "both" }, target);
        else table.remove((mirror) => mirror.port === source && mirror.target === target);
        for (const mirror of table.list()) assert.ok(!table.isTarget(mirror.port!));
      }
    }),
    { seed: 11 },
  );
});

test("a mirror made again changes its direction and stays one", () => {
  const table = new MirrorTable();
  table.add({ port: 1, direction: "in" }, 2);
  const id = table.list()[0]!.id;
  assert.equal(table.add({ port: 1, direction: "out" }, 2), 0);
  assert.deepEqual(table.list(), [{ port: 1, direction: "out", target: 2, id }]);
  for (let target = 3; table.list().length < MIRRORS_MAX; target++) {
    assert.equal(table.add({ vlan: 0, direction: "in" }, target), 0);
  }
  assert.equal(table.add({ vlan: 1, direction: "in" }, 2), ERRNO.ENOSPC);
});

test("directions are the switch's", () => {
  assert.equal(watchesPort({ direction: "in" }, 4, false), true);
  assert.equal(watchesPort({ direction: "in" }, 4, true), false);
  assert.equal(watchesPort({ port: 4, direction: "out" }, 4, true), true);
  assert.equal(watchesPort({ port: 4, direction: "both" }, 5, true), false);
});

test("a target carries nothing else until its last mirror goes, and is then as it was", () => {
  const model = new SwitchModel();
  for (const port of [1, 2, 3]) model.createPort(port);
  model.mirror({ port: 1, direction: "both" }, 3);
  model.mirror({ port: 2, direction: "both" }, 3);
  assert.equal(model.vlans.isSuspended(3), true);
  model.setSuspended(3, true);
  model.setSuspended(3, false);
  assert.equal(model.vlans.isSuspended(3), true, "suspension is not the reason");
  model.unmirror({ port: 1 }, undefined);
  assert.equal(model.vlans.isSuspended(3), true);
  model.setSuspended(3, true);
  model.unmirror({ port: 2 }, 3);
  assert.equal(model.vlans.isSuspended(3), true, "it was suspended meanwhile");
  model.setSuspended(3, false);
  assert.equal(model.vlans.isSuspended(3), false);
});

test("a mirror goes with its port, its target or its VLAN", () => {
  const model = new SwitchModel();
  for (const port of [1, 2, 3]) model.createPort(port);
  model.createVlan(5);
  model.mirror({ port: 1, direction: "both" }, 3);
  model.removePort(1);
  model.mirror({ vlan: 5, direction: "both" }, 3);
  model.removeVlan(5);
  assert.deepEqual(model.mirrors.list(), []);
  assert.equal(model.vlans.isSuspended(3), false);
  model.mirror({ port: 2, direction: "both" }, 3);
  model.removePort(3);
  assert.deepEqual(model.mirrors.list(), []);
});
