import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ERRNO } from "../base/index.ts";
import { SwitchModel } from "./switch-model.ts";
import { Switch } from "./switch.ts";
import { VLAN_NONE } from "./vlans.ts";

function plug(model: SwitchModel, id: number, wanted: number, user?: number): number | undefined {
  const port = model.allocate(wanted, user);
  if (port !== undefined) model.plug({ id, port, user, module: "test", description: `c${id}` });
  return port;
}

test("cables get the lowest ports that are free and allocatable", () => {
  const model = new SwitchModel({ ports: 4 });
  assert.equal(model.createPort(2), 2);
  assert.deepEqual([plug(model, 1, 0), plug(model, 2, 0), plug(model, 3, 0)], [1, 3, 4]);
  assert.equal(plug(model, 4, 0), undefined, "port 2 was made for those who ask for it");
  assert.equal(plug(model, 5, 2), 2);
  model.unplug(2);
  assert.equal(plug(model, 6, 0), 3, "a port that became free is given out again");
});

test("a port is shared by one user's cables; the superuser joins any, others none", () => {
  const model = new SwitchModel();
  assert.equal(plug(model, 1, 7, 1000), 7);
  assert.equal(plug(model, 2, 7, 1000), 7);
  assert.equal(plug(model, 3, 7, 1001), undefined);
  assert.equal(plug(model, 4, 7), undefined, "nor somebody unknown");
  assert.equal(plug(model, 5, 7, 0), 7);
  assert.deepEqual(
    model.port(7)!.endpoints.map(({ id }) => id),
    [5, 2, 1],
  );
  for (const id of [1, 2, 5]) model.unplug(id);
  assert.equal(plug(model, 6, 7, 1001), 7);
});

test("a restricted port takes its user, members of its group and the superuser", () => {
  const model = new SwitchModel({ isMember: (user, group) => user === 1001 && group === 50 });
  model.createPort(1);
  model.setUser(1, 1000);
  model.setGroup(1, 50);
  for (const [user, isIn] of [
    [1000, true],
    [1001, true],
    [1002, false],
    [0, true],
    [undefined, false],
  ] as const) {
    assert.equal(plug(model, 1, 1, user) === 1, isIn, String(user));
    model.unplug(1);
  }
  model.setUser(1, undefined);
  model.setGroup(1, undefined);
  assert.equal(plug(model, 1, 1, 1002), 1);
});

test("the number of ports does not fall below a port that was made", () => {
  const model = new SwitchModel();
  model.createPort(9);
  assert.equal(model.setPorts(8), ERRNO.EADDRINUSE);
  assert.equal(model.setPorts(9), 0);
  assert.equal(model.createPort(10), -ERRNO.EINVAL);
  assert.equal(model.setPorts(0), ERRNO.EINVAL);
  assert.equal(model.setPorts(1 << 20), ERRNO.EINVAL);
});

test("events tell the life of a port and its cable", () => {
  const told: string[] = [];
  const model = new SwitchModel({
    event: ({ category, text }) => told.push(`${category} ${text}`),
  });
  plug(model, 8, 3);
  model.describe(8, "somebody");
  model.unplug(8);
  assert.deepEqual(told, [
    "port/+ 03",
    "port/ep/+ Port 03 FD  8",
    'port/descr Port 03 FD  8 -> "c8"',
    'port/descr Port 03 FD  8 -> "somebody"',
    "port/ep/- Port 03 FD  8",
    "port/- 03",
  ]);
});

const PORTS = 6;
const VLANS = [0, 1, 2, 4093];
const port = fc.integer({ min: -1, max: PORTS + 1 });
const vlan = fc.constantFrom(-1, ...VLANS, 4094, VLAN_NONE, 5000);
const step = fc.tuple(
  fc.constantFrom(
    "create",
    "remove",
    "add",
    "del",
    "untagged",
    "port",
    "noPort",
    "plug",
    "unplug",
    "ports",
    "suspend",
  ),
  vlan,
  port,
);

/** Does one random thing. @returns what the model answered. */
function act(model: SwitchModel, [kind, v, p]: readonly [string, number, number]): unknown {
  switch (kind) {
    case "create":
      return model.createVlan(v);
    case "remove":
      return model.removeVlan(v);
    case "add":
      return model.addVlanPort(v, p);
    case "del":
      return model.removeVlanPort(v, p);
    case "untagged":
      return model.setPortVlan(p, v);
    case "port":
      return model.createPort(p);
    case "noPort":
      return model.removePort(p);
    case "plug":
      return model.endpoint(p) === undefined && plug(model, p, p);
    case "unplug":
      return model.unplug(p);
    case "ports":
      return model.setPorts(p);
    default:
      return model.setSuspended(p, v === 0);
  }
}

test("whatever is commanded, the packet path has the model's VLANs and every port its place", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const core = new Switch({ ports: PORTS });
      const model = new SwitchModel({ ports: PORTS, changed: (change) => core.apply(change, 0) });
      for (const one of steps) act(model, one);
      assert.deepEqual(core.vlans.vlans(), model.vlans.vlans());
      assert.equal(core.vlans.isPlain, model.vlans.isPlain);
      assert.equal(core.ports, model.portsMax);
      let isPlain = true;
      for (let p = 0; p <= model.portsMax; p++) {
        const own = model.vlans.untaggedVlan(p);
        assert.ok(own === VLAN_NONE || model.vlans.isMember(own, p), "a member of its own VLAN");
        if (own !== 0 || model.vlans.isSuspended(p)) isPlain = false;
        for (const v of model.vlans.vlans()) {
          assert.equal(core.vlans.leaves(v, p), model.vlans.leaves(v, p));
          if (v !== 0 && model.vlans.isMember(v, p)) isPlain = false;
          if (model.port(p) === undefined) assert.equal(model.vlans.isMember(v, p), v === 0);
        }
      }
      assert.equal(model.vlans.isPlain, isPlain);
    }),
    { seed: 11, numRuns: 300 },
  );
});
