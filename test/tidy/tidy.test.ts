/**
 * Each check bites on a planted violation, leaves the near miss alone, and passes on the real tree.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { checkCycles, checkDoors, checkLayers, checkPurity } from "./layers.ts";
import {
  checkDead,
  checkDepth,
  checkDocs,
  checkLength,
  checkWidth,
  checkWords,
  FILE_LINES_MAX,
} from "./shape.ts";
import { blank, type FileMap, importsOf, type Violation } from "./source.ts";
import { readTree, ROOT } from "./tree.ts";

const CHECKS: readonly ((files: FileMap) => readonly Violation[])[] = [
  checkLayers,
  checkPurity,
  checkDoors,
  checkCycles,
  checkLength,
  checkWidth,
  checkDepth,
  checkDead,
  checkWords,
  checkDocs,
];

type Files = { readonly [path: string]: string };
const tree = (files: Files): FileMap => new Map(Object.entries(files));

/** Texts of what a check finds, without the places. */
function says(check: (files: FileMap) => readonly Violation[], files: Files): readonly string[] {
  return check(tree(files)).map((violation) => `${violation.file}: ${violation.text}`);
}

test("the tree keeps every rule of the house", () => {
  const files = readTree(ROOT);
  assert.ok(files.has("src/base/errors.ts"), "the tree was not found");
  const found = CHECKS.flatMap((check) => check(files));
  const lines = found.map((v) => `${v.file}:${v.line}: ${v.rule}: ${v.text}`);
  assert.equal(lines.join("\n"), "");
});

test("a lower layer may not import a higher one, nor a sibling", () => {
  assert.deepEqual(
    says(checkLayers, {
      "src/wire/a.ts": 'import { b } from "../vde/index.ts";',
      "src/vde/b.ts": 'import { a } from "../wire/index.ts";',
      "src/umps/c.ts": 'export * from "../vde/index.ts";',
      "src/cli/d.ts": 'const e = await import("../lab/index.ts");',
      "src/lab/e.ts": 'import "../cli/main.ts";',
    }),
    [
      "src/wire/a.ts: src/wire may not import src/vde",
      "src/umps/c.ts: src/umps may not import src/vde",
      "src/lab/e.ts: src/lab may not import src/cli",
    ],
  );
});

test("a multi-line import and a type import count as imports", () => {
  const text =
    'import {\n  a,\n  type B,\n} from "../sys/index.ts";\nimport type { C } from "./c.ts";';
  assert.deepEqual(
    importsOf("src/vde/x.ts", text).map((entry) => entry.target),
    ["src/sys/index.ts", "src/vde/c.ts"],
  );
});

test("an import inside a comment or a string is none", () => {
  const text = '// import "./a.ts";\nconst s = \'import "./b.ts"\';\n`import "./c.ts"`;';
  assert.deepEqual(importsOf("src/vde/x.ts", text), []);
});

test("the program may be started from any layer, but not imported", () => {
  const start = 'const V2 = fileURLToPath(new URL("../cli/main.js", import.meta.url));';
  for (const check of [checkLayers, checkDoors]) {
    assert.deepEqual(says(check, { "src/lab/a.ts": start }), []);
    assert.equal(says(check, { "src/lab/a.ts": 'await import("../cli/main.ts");' }).length, 1);
  }
});

test("a folder that no layer names is refused", () => {
  assert.deepEqual(says(checkLayers, { "src/attic/a.ts": "" }), [
    "src/attic/a.ts: src/attic is in no layer",
  ]);
});

test("koffi stays in src/sys and node: out of the pure folders", () => {
  assert.deepEqual(
    says(checkLayers, {
      "src/plugs/a.ts": 'import koffi from "koffi"; import fs from "node:fs";',
      "src/sys/b.ts": 'import koffi from "koffi";',
      "src/wire/c.ts": 'import fs from "node:fs";',
      "src/wire/c.test.ts": 'import { test } from "node:test";',
    }),
    [
      "src/plugs/a.ts: only src/sys may import koffi",
      "src/wire/c.ts: src/wire is pure and may not import node:fs",
    ],
  );
});

test("clocks, chance, timers, console and process are kept out of the pure folders", () => {
  const text = [
    "const a = Date.now();",
    "const b = new Date();",
    "const c = Math.random();",
    "setTimeout(f, 1);",
    "console.log(1);",
    "process.exit();",
    "const e = Buffer.from(d);",
  ].join("\n");
  assert.equal(says(checkPurity, { "src/vde/a.ts": text }).length, 7);
  assert.equal(says(checkPurity, { "src/sys/a.ts": text }).length, 0);
});

test("a guest's process, a field called Date and a comment are no impurity", () => {
  const text = [
    "// Date.now() would be wrong here",
    'const s = "console.log";',
    "function f(process: Guest) { return process.pid + header.Date; }",
    "clock.setTimeout(1);",
    "interface DateLike { x: Date }",
  ].join("\n");
  assert.deepEqual(says(checkPurity, { "src/viewos/a.ts": text }), []);
});

test("a folder is entered through its index.ts from everywhere but the tests beside it", () => {
  assert.deepEqual(
    says(checkDoors, {
      "src/vde/a.ts": 'import "../base/errors.ts"; import "./b.ts"; import "../base/index.ts";',
      "src/vde/a.test.ts": 'import "../base/errors.ts";',
      "test/interop/x.test.ts": 'import "../../src/vde/a.ts";',
    }),
    [
      "src/vde/a.ts: enter src/base through its index.ts, not src/base/errors.ts",
      "test/interop/x.test.ts: enter src/vde through its index.ts, not src/vde/a.ts",
    ],
  );
});

test("a ring of imports is found whichever file it starts from, and a diamond is no ring", () => {
  assert.deepEqual(
    says(checkCycles, {
      "src/vde/a.ts": 'import "./b.ts";',
      "src/vde/b.ts": 'import "./c.ts";',
      "src/vde/c.ts": 'import "./b.ts";',
    }),
    ["src/vde/b.ts: src/vde/b.ts -> src/vde/c.ts -> src/vde/b.ts"],
  );
  const diamond = {
    "src/vde/a.ts": 'import "./b.ts"; import "./c.ts";',
    "src/vde/b.ts": 'import "./d.ts";',
    "src/vde/c.ts": 'import "./d.ts";',
    "src/vde/d.ts": "",
  };
  assert.deepEqual(says(checkCycles, diamond), []);
  const lazy = {
    "src/cli/table.ts": 'const load = () => import("./man.ts");',
    "src/cli/man.ts": 'import { COMMANDS } from "./table.ts";',
  };
  assert.deepEqual(says(checkCycles, lazy), []);
});

test("a file of 501 lines is too long and one of 500 is not", () => {
  const lines = (count: number) => "x;\n".repeat(count);
  assert.equal(says(checkLength, { "src/vde/a.ts": lines(FILE_LINES_MAX + 1) }).length, 1);
  assert.equal(says(checkLength, { "src/vde/a.ts": lines(FILE_LINES_MAX) }).length, 0);
});

test("a wide line is refused unless a literal or a table row makes it wide", () => {
  const wide = "x".repeat(95);
  assert.equal(says(checkWidth, { "a.ts": `const a = ${wide};` }).length, 1);
  assert.equal(says(checkWidth, { "a.ts": `// a comment ${wide}` }).length, 1);
  assert.equal(says(checkWidth, { "a.ts": `const a = "${wide}";` }).length, 0);
  assert.equal(says(checkWidth, { "a.ts": `  ["${wide}", 1, 2, 3],` }).length, 0);
  assert.equal(says(checkWidth, { "a.ts": ` * | ${wide} | 3 |` }).length, 0);
});

test("source folders end at the third level", () => {
  assert.equal(says(checkDepth, { "src/modules/umdev/a.ts": "" }).length, 0);
  assert.equal(says(checkDepth, { "src/modules/umdev/more/a.ts": "" }).length, 1);
});

test("a file that nothing imports is dead; doors, workers and imported ones are not", () => {
  const files = {
    "src/vde/index.ts": 'export * from "./a.ts";',
    "src/vde/a.ts": 'new Worker(new URL("./worker.js", import.meta.url));',
    "src/vde/worker.ts": "",
    "src/vde/attic.ts": 'import "./attic.ts";',
    "src/cli/main.ts": "",
  };
  assert.deepEqual(says(checkDead, files), ["src/vde/attic.ts: no file imports it"]);
});

test("marks of unfinished work and paths of one machine are found in code and documents", () => {
  const mark = ["TO", "DO"].join("");
  const path = ["", "home", "someone", "src"].join("/");
  assert.equal(says(checkWords, { "a.ts": `// ${mark}: more` }).length, 1);
  assert.equal(says(checkWords, { "README.md": `see ${path}` }).length, 1);
  assert.equal(says(checkWords, { "README.md": `${mark}S and ~/src, $HOME/src` }).length, 0);
});

test("what a door gives out needs a doc comment", () => {
  const files = {
    "src/vde/index.ts": 'export * from "./a.ts";',
    "src/vde/a.ts": "/** Meaning. */\nexport function a() {}\n\nexport class B {}\n",
    "src/vde/c.ts": "export function inner() {}\n",
  };
  assert.deepEqual(says(checkDocs, files), ["src/vde/a.ts: 'B' has no doc comment"]);
});

test("blanking keeps lines and code and removes what only looks like code", () => {
  const text = 'a = /[/"]/.test(b) / c; // d\ne = `f ${g + `h ${i}`} j`;\n/* k\n */ l = m / n / o;';
  const code = blank(text);
  assert.equal(code.split("\n").length, text.split("\n").length);
  for (const kept of ["a =", ".test(b) / c;", "${g +", "${i}", "l = m / n / o;"]) {
    assert.ok(code.includes(kept), `lost: ${kept} in ${code}`);
  }
  for (const gone of ["d", "f", "h", "j", "k"]) assert.ok(!new RegExp(`\\b${gone}\\b`).test(code));
});
