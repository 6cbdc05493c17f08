import assert from "node:assert/strict";
import { test } from "node:test";
import { PathNodes } from "./path-nodes.ts";

test("a name has one node and one number as long as the kernel knows it", () => {
  const nodes = new PathNodes();
  const a = nodes.make(nodes.root, "a")!;
  a.lookups = 2;
  assert.equal(nodes.make(nodes.root, "a"), a);
  assert.equal(a.path, "/a");
  nodes.forget(a.id, 1);
  assert.equal(nodes.get(a.id), a);
  nodes.forget(a.id, 1);
  assert.equal(nodes.get(a.id), undefined);
  const again = nodes.make(nodes.root, "a")!;
  assert.notEqual(again.id, a.id);
  assert.equal(again.inode, a.inode);
});

test("directories stay while something below them is known", () => {
  const nodes = new PathNodes();
  const a = nodes.make(nodes.root, "a")!;
  const b = nodes.make(a, "b")!;
  b.lookups = 1;
  nodes.forget(a.id, 0);
  assert.equal(nodes.get(a.id), a);
  assert.equal(nodes.at("/a/b"), b);
  nodes.forget(b.id, 1);
  assert.equal(nodes.size, 1);
});

test("a move takes all below with it, and what was there is without a name", () => {
  const nodes = new PathNodes();
  const a = nodes.make(nodes.root, "a")!;
  const inner = nodes.make(a, "inner")!;
  const old = nodes.make(nodes.root, "b")!;
  for (const node of [a, inner, old]) node.lookups = 1;
  nodes.move(nodes.root, "a", nodes.root, "b");
  assert.equal(inner.path, "/b/inner");
  assert.ok(old.isRemoved);
  assert.equal(nodes.at("/b"), a);
  assert.equal(nodes.at("/a"), undefined);
});

test("a new file does not get the inode of a renamed one", () => {
  const nodes = new PathNodes();
  const a = nodes.make(nodes.root, "a")!;
  a.lookups = 1;
  nodes.move(nodes.root, "a", nodes.root, "b");
  const next = nodes.make(nodes.root, "a")!;
  assert.notEqual(next.inode, a.inode);
});

test("there is a limit of nodes, and it is counted", () => {
  const nodes = new PathNodes(2);
  assert.ok(nodes.make(nodes.root, "a") !== undefined);
  assert.equal(nodes.make(nodes.root, "b"), undefined);
  assert.equal(nodes.refused, 1);
});
