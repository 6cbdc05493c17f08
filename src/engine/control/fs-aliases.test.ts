import assert from "node:assert/strict";
import { test } from "node:test";
import { ViewTree } from "../../viewos/index.ts";
import { FsAliases } from "./fs-aliases.ts";
import { SharedSettings } from "./shared-settings.ts";
import { NO_SETTINGS } from "./view-settings.ts";

function aliases() {
  const tree = new ViewTree<unknown>();
  const settings = new SharedSettings(NO_SETTINGS);
  return { tree, settings, made: new FsAliases(tree, settings) };
}

test("a view inside another begins with its aliases, and then each has its own", () => {
  const { tree, settings, made } = aliases();
  const outer = tree.open().id;
  made.set(outer, "ext2", "umfuseext2");
  made.set(outer, "scratch", "ramfs");
  made.set(outer, "scratch", "tmpfs");
  const inner = tree.open(outer).id;
  made.set(outer, "later", "proc");
  made.set(inner, "ext2", undefined);
  made.set(inner, "constructor", "bind");
  assert.deepEqual(made.of(outer), { ext2: "umfuseext2", scratch: "tmpfs", later: "proc" });
  assert.deepEqual(made.of(inner), { scratch: "tmpfs", constructor: "bind" });
  made.publish([
    { id: outer, ground: 10n },
    { id: inner, ground: 11n },
  ]);
  assert.deepEqual(settings.value.aliases["11"], { scratch: "tmpfs", constructor: "bind" });
  made.publish([{ id: outer, ground: 10n }]);
  assert.deepEqual(Object.keys(settings.value.aliases), ["10"]);
  for (const alias of Object.keys(made.of(outer))) made.set(outer, alias, undefined);
  made.publish([{ id: outer, ground: 10n }]);
  assert.deepEqual(settings.value, NO_SETTINGS);
});

test("what is no alias cannot be removed, and there are not more than may be", () => {
  const { tree, made } = aliases();
  const view = tree.open().id;
  assert.throws(() => made.set(view, "none", undefined), { code: "NO_ALIAS" });
  assert.throws(() => made.set(view, "", "tmpfs"), { code: "ARGUMENTS" });
  assert.throws(() => made.set(view, 7, "tmpfs"), { code: "ARGUMENTS" });
  assert.throws(() => made.set(view, "x", "y".repeat(65)), { code: "ARGUMENTS" });
  for (let i = 0; i < 100; i++) made.set(view, `a${i}`, "tmpfs");
  assert.throws(() => made.set(view, "more", "tmpfs"), { code: "TOO_MANY" });
  made.set(view, "a0", "ramfs");
  assert.equal(made.of(view)["a0"], "ramfs");
});
