import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { always } from "../../test/properties.ts";
import { type Layer, VIEW_DEPTH_MAX, ViewTree } from "./view-tree.ts";

const values = (layers: readonly Layer<string>[]): string[] => layers.map((layer) => layer.value);

test("a view inherits what its parent had, and nothing that comes later", () => {
  const tree = new ViewTree<string>();
  const outer = tree.open();
  tree.insert(outer.id, "before");
  const inner = tree.open(outer.id);
  tree.insert(outer.id, "after");
  tree.insert(inner.id, "own");
  assert.deepEqual(values(tree.layers(inner.id)), ["before", "own"]);
  assert.deepEqual(values(tree.layers(outer.id)), ["before", "after"]);
});

test("a removal is seen where it was made and by views made later", () => {
  const tree = new ViewTree<string>();
  const outer = tree.open();
  const layer = tree.insert(outer.id, "module");
  const early = tree.open(outer.id);
  assert.equal(tree.remove(outer.id, layer), true, "the early child holds it");
  const late = tree.open(outer.id);
  assert.deepEqual(values(tree.layers(outer.id)), []);
  assert.deepEqual(values(tree.layers(early.id)), ["module"]);
  assert.deepEqual(values(tree.layers(late.id)), []);
  assert.equal(tree.remove(early.id, layer), false, "now nobody does");
});

test("what is no more is discarded from every view", () => {
  const tree = new ViewTree<string>();
  const outer = tree.open();
  const layer = tree.insert(outer.id, "hung");
  const inner = tree.open(outer.id);
  assert.equal(tree.isHeldBeside(layer, outer.id), true);
  assert.equal(tree.isHeldBeside(tree.insert(inner.id, "own"), inner.id), false);
  tree.discard(layer);
  assert.equal(tree.isHeld(layer), false);
  assert.deepEqual(values(tree.layers(inner.id)), ["own"]);
});

test("a child may take an inherited layer out for itself", () => {
  const tree = new ViewTree<string>();
  const outer = tree.open();
  const layer = tree.insert(outer.id, "mount");
  const inner = tree.open(outer.id);
  const innermost = tree.open(inner.id);
  tree.remove(inner.id, layer);
  assert.deepEqual(values(tree.layers(outer.id)), ["mount"]);
  assert.deepEqual(values(tree.layers(inner.id)), []);
  assert.deepEqual(values(tree.layers(innermost.id)), ["mount"]);
});

test("a module sees only what is older than itself", () => {
  const tree = new ViewTree<string>();
  const view = tree.open();
  tree.insert(view.id, "disk");
  const module = tree.insert(view.id, "file system on the disk");
  tree.insert(view.id, "mount in the file system");
  assert.deepEqual(values(tree.layers(view.id, module.epoch)), ["disk"]);
});

test("closing a view closes its children first and gives up what only they saw", () => {
  const tree = new ViewTree<string>();
  const outer = tree.open(undefined, "outer");
  tree.insert(outer.id, "outer's");
  const inner = tree.open(outer.id, "inner");
  tree.insert(inner.id, "inner's");
  const innermost = tree.open(inner.id, "innermost");
  const closed = tree.close(inner.id);
  assert.deepEqual(
    closed.views.map((view) => view.name),
    ["innermost", "inner"],
  );
  assert.deepEqual(values(closed.layers), ["inner's"]);
  assert.equal(tree.node(innermost.id), undefined);
  assert.deepEqual(tree.close(inner.id), { views: [], layers: [] });
  assert.deepEqual(values(tree.close(outer.id).layers), ["outer's"]);
});

test("views do not nest deeper than the kernel's namespaces", () => {
  const tree = new ViewTree<string>();
  let view = tree.open();
  for (let depth = 0; depth < VIEW_DEPTH_MAX; depth++) view = tree.open(view.id);
  assert.throws(() => tree.open(view.id), { code: "VIEW_DEPTH" });
  assert.throws(() => tree.open(4711), { code: "NO_VIEW" });
});

/** One step of a random history; numbers choose among what exists at that time. */
const step = fc.tuple(
  fc.constantFrom("open", "insert", "insert", "remove", "close"),
  fc.nat(1000),
  fc.nat(1000),
);

/** The plain model: each view has a list of its own, copied from the parent when it is made. */
test("any history agrees with views that copy their parent's list", () => {
  always(fc.array(step, { maxLength: 60 }), (steps) => {
    const tree = new ViewTree<number>();
    const model = new Map<number, { parent: number | undefined; layers: Layer<number>[] }>();
    const root = tree.open();
    model.set(root.id, { parent: undefined, layers: [] });
    steps.forEach(([what, a, b], index) => {
      const ids = [...model.keys()];
      const id = ids[a % ids.length]!;
      const view = model.get(id)!;
      if (what === "open" && tree.node(id)!.depth < VIEW_DEPTH_MAX) {
        model.set(tree.open(id).id, { parent: id, layers: [...view.layers] });
      } else if (what === "insert") view.layers.push(tree.insert(id, index));
      else if (what === "remove" && view.layers.length > 0) {
        const [layer] = view.layers.splice(b % view.layers.length, 1);
        const held = [...model.values()].some((other) => other.layers.includes(layer!));
        assert.equal(tree.remove(id, layer!), held);
      } else if (what === "close" && id !== root.id) {
        const before = new Set([...model.values()].flatMap((other) => other.layers));
        const within = ids.filter((other) => tree.isWithin(other, id));
        const closed = tree.close(id);
        for (const other of within) model.delete(other);
        const after = new Set([...model.values()].flatMap((other) => other.layers));
        const lost = [...before].filter((layer) => !after.has(layer));
        assert.deepEqual(new Set(closed.layers), new Set(lost));
        assert.equal(closed.views.length, within.length);
      }
    });
    for (const [id, view] of model) assert.deepEqual(tree.layers(id), view.layers);
    assert.deepEqual(new Set(tree.all().map((node) => node.id)), new Set(model.keys()));
  });
});
