import assert from "node:assert/strict";
import { test } from "node:test";
import { Epoll } from "../sys/index.ts";
import { openNull } from "./null-end.ts";
import { FLOOD_BURST, FLOODS_PER_MS, StormControl } from "./storm-control.ts";
import { SwitchEndpoint } from "./switch-endpoint.ts";

function setting() {
  const epoll = new Epoll();
  const cable = (id: number): SwitchEndpoint => new SwitchEndpoint(id, id, openNull());
  return { epoll, storms: new StormControl(epoll), stormy: cable(1), busy: cable(2) };
}

test("a flood alone on the switch is never slowed", () => {
  const { epoll, storms, stormy } = setting();
  for (let ms = 0; ms < 100; ms++) storms.account(stormy, 64 * FLOODS_PER_MS, 0, ms);
  assert.equal(stormy.blockedBy, 0);
  assert.equal(storms.isActive, false);
  epoll.close();
});

test("a storm beside the traffic of others is read at the bounded rate", () => {
  const { epoll, storms, stormy, busy } = setting();
  let floods = 0;
  const lengthMs = 1000;
  for (let ms = 1; ms <= lengthMs; ms++) {
    storms.wake(ms);
    storms.account(busy, 0, 64, ms);
    for (let batch = 0; batch < 50 && stormy.blockedBy === 0; batch++) {
      storms.account(stormy, 64, 0, ms);
      floods += 64;
    }
  }
  assert.ok(floods >= lengthMs * FLOODS_PER_MS * 0.9, `${floods}`);
  assert.ok(floods <= lengthMs * FLOODS_PER_MS + FLOOD_BURST + 64, `${floods}`);
  assert.equal(busy.blockedBy, 0);
  epoll.close();
});

test("a storm is free again when nobody else sends", () => {
  const { epoll, storms, stormy, busy } = setting();
  storms.account(busy, 0, 1, 0);
  storms.account(stormy, 2 * FLOOD_BURST, 0, 1);
  assert.equal(stormy.blockedBy, 1);
  storms.wake(200);
  assert.equal(stormy.blockedBy, 0);
  storms.account(stormy, 4 * FLOOD_BURST, 0, 201);
  assert.equal(stormy.blockedBy, 0);
  epoll.close();
});

test("frames for one station from the stormy cable itself do not slow it", () => {
  const { epoll, storms, stormy } = setting();
  for (let ms = 1; ms < 50; ms++) storms.account(stormy, 64 * FLOODS_PER_MS, 64, ms);
  assert.equal(stormy.blockedBy, 0);
  epoll.close();
});

test("a resting cable that was pulled is forgotten", () => {
  const { epoll, storms, stormy, busy } = setting();
  storms.account(busy, 0, 1, 0);
  storms.account(stormy, 4 * FLOOD_BURST, 0, 1);
  stormy.isClosed = true;
  storms.wake(2);
  assert.equal(storms.isActive, false);
  epoll.close();
});
