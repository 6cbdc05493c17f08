import assert from "node:assert/strict";
import { posix } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { ERRNO } from "../base/index.ts";
import { type MountFields, MountTable, type Place, virtualPath } from "./mount-table.ts";
import { kernelPath, type Standing, type Walked, type WalkHost, walkPath } from "./path-walk.ts";

/** Files of an imagined host: paths with the text of a link, "/" for a directory, "" for a file. */
type Tree = { readonly [path: string]: string };

function hostOf(tree: Tree): WalkHost {
  return {
    look: (real) => {
      const found = tree[real];
      if (found === undefined || found === "" || found === "/") return { kind: "other" };
      if (found.startsWith("=>")) return { kind: "jump", path: found.slice(2) };
      return { kind: "link", text: found };
    },
    directory: (real) => {
      const found = tree[real];
      if (real === "/" || found === "/") return 0;
      return found === undefined ? ERRNO.ENOENT : ERRNO.ENOTDIR;
    },
  };
}

const fields = (backing: string): MountFields => ({
  source: "none",
  type: "tmpfs",
  backing,
  isPrivate: true,
  flags: 0,
});

function mounted(mounts: { readonly [path: string]: string }): MountTable {
  const table = new MountTable();
  for (const [path, backing] of Object.entries(mounts)) {
    table.attach({ mount: table.root, path }, fields(backing));
  }
  return table;
}

function standing(table: MountTable, directory = "/"): Standing {
  return { root: { mount: table.root, path: "" }, directory: table.placeOf(directory) };
}

function walked(table: MountTable, tree: Tree, path: string, from = "/", follow = true): Walked {
  const result = walkPath(table, standing(table, from), path, follow, hostOf(tree));
  assert.ok(typeof result === "object", path);
  return result;
}

const seen = (result: Walked): string => kernelPath(result);

test("a path that no mount touches is left to the kernel", () => {
  const table = mounted({ "/mnt": "/t" });
  const result = walked(table, { "/usr": "/", "/usr/lib": "/" }, "/usr/lib/../lib/x.so");
  assert.equal(result.differs, false);
  assert.equal(seen(result), "/usr/lib/x.so");
  const relative = walked(table, { "/srv": "/" }, "a/b", "/srv");
  assert.equal(relative.differs, false);
  assert.equal(seen(relative), "/srv/a/b");
});

test("a path through a mount point leads to the backing", () => {
  const table = mounted({ "/mnt": "/t" });
  for (const [path, real] of [
    ["/mnt/a", "/t/a"],
    ["//mnt//a/", "/t/a/"],
    ["/mnt/./a", "/t/a"],
    ["/mnt", "/t"],
    ["/mnt/.", "/t/"],
    ["/mnt/..", "/"],
    ["/mnt/../mnt/a", "/t/a"],
  ]) {
    const result = walked(table, { "/t": "/" }, path!);
    assert.equal(seen(result), real, path);
    assert.equal(result.differs, true, path);
  }
  assert.equal(walked(table, {}, "/mnt").isMountPoint, true);
  assert.equal(walked(table, {}, "/mnt/a").isMountPoint, false);
});

test("links are followed through the view, not through the host", () => {
  const table = mounted({ "/mnt": "/t" });
  const tree = {
    "/t": "/",
    "/t/abs": "/mnt/file",
    "/t/rel": "sub/x",
    "/in": "mnt/a",
    "/t/up": "../y",
  };
  assert.equal(seen(walked(table, tree, "/mnt/abs")), "/t/file");
  assert.equal(seen(walked(table, tree, "/mnt/rel")), "/t/sub/x");
  assert.equal(seen(walked(table, tree, "/in")), "/t/a");
  assert.equal(seen(walked(table, tree, "/in/b")), "/t/a/b");
  assert.equal(seen(walked(table, tree, "/mnt/up")), "/y");
  // The name itself, for lstat or unlink; a slash behind it means what it leads to.
  assert.equal(seen(walked(table, tree, "/mnt/abs", "/", false)), "/t/abs");
  assert.equal(seen(walked(table, tree, "/mnt/abs/", "/", false)), "/t/file/");
});

test("who stands in a mount and stays there needs no help; who leaves it does", () => {
  const table = mounted({ "/mnt": "/t" });
  const tree = { "/t": "/", "/t/sub": "/" };
  const inside = walked(table, tree, "sub/../x", "/t");
  assert.deepEqual([inside.differs, virtualPath(inside.place)], [false, "/mnt/x"]);
  const outside = walked(table, tree, "../etc", "/t");
  assert.deepEqual([outside.differs, seen(outside)], [true, "/etc"]);
});

test("a directory must be there to be left upwards", () => {
  const table = mounted({ "/mnt": "/t" });
  const host = hostOf({ "/file": "" });
  const at = (path: string): Walked | number => walkPath(table, standing(table), path, true, host);
  assert.equal(at("/none/../mnt"), ERRNO.ENOENT);
  assert.equal(at("/file/.."), ERRNO.ENOTDIR);
  assert.equal(at(""), ERRNO.ENOENT);
});

test("links in a ring end with ELOOP", () => {
  const table = mounted({ "/mnt": "/t" });
  const host = hostOf({ "/a": "/b", "/b": "a" });
  assert.equal(walkPath(table, standing(table), "/a", true, host), ERRNO.ELOOP);
});

test("links of /proc lead to objects, which may be in a mount", () => {
  const table = mounted({ "/mnt": "/t" });
  const tree = { "/proc": "/", "/proc/7/cwd": "=>/t/sub" };
  const result = walked(table, tree, "/proc/7/cwd/x");
  assert.deepEqual([virtualPath(result.place), result.differs], ["/mnt/sub/x", false]);
});

test("without mounts a walk agrees with the text, and never leads out of a root", () => {
  const table = new MountTable();
  const name = fc.constantFrom("a", "b", ".", "..", "");
  fc.assert(
    fc.property(fc.array(name, { maxLength: 12 }), (names) => {
      const path = `/${names.join("/")}`;
      const host: WalkHost = { look: () => ({ kind: "other" }), directory: () => 0 };
      const result = walkPath(table, standing(table), path, true, host) as Walked;
      const expected = posix.normalize(path).replace(/(?<=.)\/$/, "");
      assert.equal(virtualPath(result.place), expected);
      assert.equal(result.differs, false);
    }),
    { seed: 4, numRuns: 500 },
  );
});

test("with mounts a walk comes where the names say, whatever lies below", () => {
  const name = fc.constantFrom("m", "n", "x", ".", "..");
  const point = fc.constantFrom("/m", "/m/n", "/x/m", "/n");
  fc.assert(
    fc.property(fc.array(name, { maxLength: 10 }), fc.uniqueArray(point), (names, points) => {
      const table = new MountTable();
      points.forEach((path, index) => {
        const place: Place = walkPlace(table, path);
        table.attach(place, fields(`/backing${index}`));
      });
      const path = `/${names.join("/")}`;
      const host: WalkHost = { look: () => ({ kind: "other" }), directory: () => 0 };
      const result = walkPath(table, standing(table), path, true, host) as Walked;
      const expected = posix.normalize(path).replace(/(?<=.)\/$/, "");
      assert.equal(virtualPath(result.place), expected);
    }),
    { seed: 4, numRuns: 500 },
  );
});

function walkPlace(table: MountTable, path: string): Place {
  const host: WalkHost = { look: () => ({ kind: "other" }), directory: () => 0 };
  return (walkPath(table, standing(table), path, true, host) as Walked).place;
}
