// time limit: 120 s
/** Modules in the tree of views: who has which, from when on, and until when. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { openControl } from "../../src/engine/index.ts";
import { eventually, inView, supervisorOf, temporaryDirectory, V2, v2 } from "./v2.ts";

const V2_COMMAND = `'${process.execPath}' '${V2}'`;

/** Modules of the tests: each file makes one, named by its option `name`. */
const MODULES: { readonly [file: string]: string } = {
  // One /peel less for each module that is asked.
  peel: `() => module("peel", { on: { mkdir: {
    when: { path: "/peel/**" },
    do: (call) => call.emulate({ path: call.path.replace("/peel", "") }),
  } } })`,
  says: `({ name }) => module(name, { on: { uname: (call) => call.reply({ nodename: name }) } })`,
  counts: `() => {
    let asked = 0;
    return module("counts", { on: { uname: (call) => call.reply({ nodename: String(++asked) }) } });
  }`,
  hangs: `() => module("hangs", { timeoutMs: 200, on: { uname: () => { for (;;); } } })`,
  leaves: `({ file }) => module("leaves", {
    on: { uname: (call) => call.reply({ nodename: "held" }) },
    close: () => writeFileSync(file, "closed"),
  })`,
};

/** A directory with the modules, a file of its own name, and a place to mount on. */
function prepared() {
  const directory = temporaryDirectory();
  const { path } = directory;
  for (const [file, source] of Object.entries(MODULES)) {
    writeFileSync(
      join(path, `${file}.mjs`),
      `import { writeFileSync } from "node:fs";
       import { module } from "virtualsquare/viewos";
       export default ${source};`,
    );
  }
  writeFileSync(join(path, "content"), "content\n");
  mkdirSync(join(path, "m"));
  return directory;
}

/** `v2 view OPTIONS -- sh -c SCRIPT` as text for a shell. */
function nested(script: string, options = "", command = "view"): string {
  const quoted = script.replaceAll("'", `'\\''`);
  return `${V2_COMMAND} ${command} ${options === "" && command === "view" ? "--" : options} sh -c '${quoted}'`;
}

const insert = (module: string): string => `${V2_COMMAND} vu_insmod ${module}`;
const remove = (module: string): string => `${V2_COMMAND} vu_rmmod ${module}`;
const LIST = `${V2_COMMAND} vu_lsmod`;

/** Threads of a process. */
const threads = (pid: number): number => readdirSync(`/proc/${pid}/task`).length;

test("three views deep, a module of each is asked before that of the view around it", async () => {
  using directory = prepared();
  const { path: cwd } = directory;
  const makes = (times: number): string =>
    `mkdir ${"/peel".repeat(times)}${cwd}/d 2>/dev/null && rmdir d && echo ${times} || echo none`;
  const third = `${makes(3)}; ${makes(4)}; ${LIST}`;
  const second = `${makes(2)}; ${makes(3)}; ${nested(third, "-p ./peel.mjs", "umview")}`;
  const inner = nested(`${second}; ${makes(3)}`, "-p ./peel.mjs --");
  const outcome = await inView(
    `${makes(1)}; ${makes(2)}; ${inner}; ${makes(2)}; ${LIST}`,
    ["-p", "./peel.mjs"],
    { cwd },
  );
  const lines = [
    "1 none 2 none",
    "3 none peel: peel: (inherited) peel: (inherited)",
    "none none peel:",
  ].join(" ");
  assert.equal(outcome.stderr, "");
  assert.equal(outcome.stdout.trim().replaceAll("\n", " "), lines);
});

test("a third view where opens are answered says why it cannot be", async () => {
  const { code, stderr } = await inView(nested(nested("true")), ["--trap=path"]);
  assert.equal(code, 126);
  assert.match(stderr, /the user map: .* not permitted\n +views nest two deep where opens are/);
});

test("unreal in a view over unreal around it: both are asked, each is removed at home", async () => {
  using directory = prepared();
  const { path: cwd } = directory;
  const inner = nested(
    `cat /unreal/unreal${cwd}/content; ${remove("unreal")} && cat /unreal${cwd}/content
     ${remove("unreal")}; ${LIST}`,
    "-p unreal --",
  );
  const outcome = await inView(`${inner}; ${remove("unreal")}; cat /unreal${cwd}/content`, [
    "-p",
    "unreal",
  ]);
  assert.equal(outcome.stdout, "content\ncontent\nunreal: (inherited)\n");
  assert.match(outcome.stderr, /'unreal' is inherited from view 1/);
  assert.match(outcome.stderr, /\/unreal.*content: No such file/);
});

test("siblings do not see each other's modules, nor does the view around them", async () => {
  using directory = prepared();
  const sibling = (name: string, other: string): string =>
    nested(
      `${insert(`./says.mjs,name=${name}`)}; touch ${name}
       while ! test -e ${other}; do sleep 0.05; done
       echo $(uname -n) $(${LIST}) > ${name}.out`,
    );
  const outcome = await inView(
    `own=$(uname -n)
     (${sibling("a", "b")}) & (${sibling("b", "a")}) & wait
     cat a.out b.out; test $(uname -n) = $own && echo own; ${LIST}`,
    [],
    { cwd: directory.path },
  );
  assert.equal(outcome.stderr, "");
  assert.equal(outcome.stdout, "a a:\nb b:\nown\n");
});

test("a view keeps what was there when it was made, whatever happens around it later", async () => {
  using directory = prepared();
  const early = nested(`echo > made; cat go > /dev/null; uname -n; ${LIST}`);
  const outcome = await inView(
    `mkfifo made go; ${insert("./says.mjs,name=early")}
     (${early}) & cat made > /dev/null
     ${remove("early")}; ${insert("./says.mjs,name=late")}; uname -n
     ${nested(`uname -n; ${LIST}`)}
     echo > go; wait`,
    [],
    { cwd: directory.path },
  );
  assert.equal(outcome.stderr, "");
  assert.equal(outcome.stdout, "late\nlate\nlate: (inherited)\nearly\nearly: (inherited)\n");
});

test("a removed module ends when the last view has ended that kept it", async () => {
  using directory = prepared();
  const file = join(directory.path, "closed");
  const outcome = await inView(
    `mkfifo made go; ${insert(`./leaves.mjs,file=${file}`)}
     (${nested("echo > made; cat go > /dev/null; uname -n")}) & cat made > /dev/null
     ${remove("leaves")}; test -e ${file} || echo kept; echo > go; wait
     while ! test -e ${file}; do sleep 0.05; done; echo closed`,
    [],
    { cwd: directory.path },
  );
  assert.equal(outcome.stderr, "");
  assert.equal(outcome.stdout, "kept\nheld\nclosed\n");
});

test("a view's modules and their threads end with it", async () => {
  using directory = prepared();
  const name = `tree-${process.pid}`;
  const inner = `${insert("./says.mjs,name=inner shout")}
    mount -t shout none m && cat m/hello; uname -n; read line`;
  const child = spawn(
    process.execPath,
    [V2, "view", "--name", name, "--", "sh", "-c", `read line; ${nested(inner)}; echo over; cat`],
    { cwd: directory.path, stdio: ["pipe", "pipe", "inherit"] },
  );
  const said = async (): Promise<string> => String((await once(child.stdout, "data"))[0]);
  const supervisor = (await supervisorOf(name))!;
  const before = threads(supervisor);
  child.stdin.write("\n");
  assert.equal(await said(), "HELLO\n");
  assert.equal(await said(), "inner\n");
  const during = threads(supervisor);
  child.stdin.write("\n");
  assert.equal(await said(), "over\n");
  using client = openControl(name);
  assert.deepEqual(await client.ask("lsmod"), []);
  // Of the worker that the outermost view has got with the first trapped call there is more.
  const left = (): number => during - threads(supervisor);
  assert.ok(await eventually(() => left() >= 2 && threads(supervisor) >= before), `${left()}`);
  child.stdin.end();
  await once(child, "exit");
});

test("types of a view's modules are mounted in it and the views in it only", async () => {
  using directory = prepared();
  const mounts = "mount -t shout none m 2>/dev/null && cat m/hello || echo none";
  const inner = nested(
    `${insert("shout")}; ${nested(`${mounts}; umount m; ${mounts}`)}
     ${V2_COMMAND} um_fsalias loud shout; mount -t loud none m && ls m
     ${remove("shout")}; umount m
     until ${remove("shout")} 2>/dev/null; do sleep 0.05; done; ${LIST}`,
  );
  const outcome = await inView(`${inner}; ${mounts}`, [], { cwd: directory.path });
  assert.equal(outcome.stdout, "HELLO\nHELLO\nhello\nnone\n");
  assert.match(outcome.stderr, /'shout' is in use: 1 mounts/);
});

test("a module that hangs in a view neither holds up nor restarts those around it", async () => {
  using directory = prepared();
  const inner = nested(
    `${insert("./hangs.mjs")}; echo > made; uname -n 2>/dev/null || echo failed
     until uname -n 2>/dev/null; do sleep 0.1; done; ${LIST}; echo > done`,
  );
  const outcome = await inView(
    `mkfifo made done; ${insert("./counts.mjs")}; uname -n
     (${inner}) & cat made > /dev/null
     start=$(date +%s%N); uname -n; uname -n
     test $((($(date +%s%N) - start) / 1000000)) -lt 1000 && echo prompt
     cat done > /dev/null; wait; uname -n`,
    [],
    { cwd: directory.path },
  );
  const lines = outcome.stdout.trim().split("\n");
  for (const line of ["failed", "prompt", "counts: (inherited)"])
    assert.ok(lines.includes(line), outcome.stdout);
  // It goes on counting: the module around has not begun anew. (Other programs ask it, too.)
  const counts = lines.filter((line) => /^\d+$/.test(line)).map(Number);
  const sorted = counts.toSorted((a, b) => a - b);
  assert.deepEqual([counts.length, new Set(counts).size], [5, 5], outcome.stdout);
  assert.deepEqual(counts, sorted, outcome.stdout);
});

test("namespaces of a process's own do not lead out of its view's modules", async () => {
  using directory = prepared();
  const own = `unshare -Urm sh -c "uname -n; ${LIST.replaceAll("'", "")}"`;
  const inner = nested(`${insert("./says.mjs,name=inner")}; ${own}`);
  const outcome = await inView(`${insert("./says.mjs,name=outer")}; ${inner}`, [], {
    cwd: directory.path,
  });
  assert.equal(outcome.stderr, "");
  assert.equal(outcome.stdout, "inner\ninner:\nouter: (inherited)\n");
});

test("views without a name are listed below those that they were made in", async () => {
  const name = `around-${process.pid}`;
  const inner = nested(`${nested("echo ready; cat", `--name ${name}.3 --`)}; echo left; cat`);
  const child = spawn(
    process.execPath,
    [V2, "view", "--name", name, "--", "sh", "-c", `${inner}; cat`],
    { stdio: ["pipe", "pipe", "inherit"] },
  );
  const said = async (): Promise<string> => String((await once(child.stdout, "data"))[0]);
  assert.equal(await said(), "ready\n");
  const lines = (await v2(["view", "list"])).stdout.split("\n");
  const first = lines.findIndex((line) => line.startsWith(`${name} `));
  const supervisor = await supervisorOf(name);
  assert.match(lines[first + 1]!, new RegExp(`^  \\[${supervisor}\\.2\\] +pid \\d+  supervisor`));
  assert.match(lines[first + 2]!, new RegExp(`^    ${name}\\.3 `));
  const json = JSON.parse((await v2(["view", "list", "--json"])).stdout) as readonly {
    readonly name: string;
    readonly view: number;
    readonly supervisorPid: number;
    readonly parentView?: number;
    readonly parent?: string;
  }[];
  const ours = json.filter((one) => one.supervisorPid === supervisor);
  assert.deepEqual(
    ours.map((one) => [one.name, one.view, one.parentView, one.parent]),
    [
      [name, 1, undefined, undefined],
      ["", 2, 1, name],
      [`${name}.3`, 3, 2, undefined],
    ],
  );
  // A killed supervisor tidies nothing; the next list does.
  process.kill(supervisor!, "SIGKILL");
  child.stdin.end();
  await once(child, "exit");
  const left = JSON.parse((await v2(["view", "list", "--json"])).stdout) as typeof json;
  assert.deepEqual(
    left.filter((one) => one.supervisorPid === supervisor),
    [],
  );
});

test("a named view inside a view is asked for its own modules from outside", async () => {
  using directory = prepared();
  const name = `leaf-${process.pid}`;
  const inner = nested(`${insert("./says.mjs,name=inner")}; echo ready; cat`, `--name ${name} --`);
  const child = spawn(process.execPath, [V2, "view", "--", "sh", "-c", inner], {
    cwd: directory.path,
    stdio: ["pipe", "pipe", "inherit"],
  });
  assert.equal(String((await once(child.stdout, "data"))[0]), "ready\n");
  {
    using client = openControl(name);
    const [module] = (await client.ask("lsmod")) as readonly { readonly name: string }[];
    assert.equal(module?.name, "inner");
    await client.ask("rmmod", { module: "inner" });
    assert.deepEqual(await client.ask("lsmod"), []);
  }
  child.stdin.end();
  await once(child, "exit");
  assert.ok(!existsSync(join(directory.path, "closed")));
});
