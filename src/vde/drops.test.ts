import assert from "node:assert/strict";
import { test } from "node:test";
import { DROPPED, SwitchDrops } from "./drops.ts";

test("drops are counted by reason, for the switch and for the port they came by", () => {
  const drops = new SwitchDrops();
  drops.count(DROPPED.vlan, 4096);
  drops.count(DROPPED.short, 0);
  drops.count(DROPPED.vlan, 2);
  assert.equal(drops.vlan, 2);
  assert.equal(drops.short, 1);
  assert.deepEqual(drops.ofPort(2), { short: 0, ownPort: 0, vlan: 1, suspended: 0 });
  assert.deepEqual(drops.ofPort(4096), { short: 0, ownPort: 0, vlan: 1, suspended: 0 });
  assert.deepEqual(new SwitchDrops().ofPort(7), { short: 0, ownPort: 0, vlan: 0, suspended: 0 });
});
