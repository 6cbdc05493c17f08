// runs as: user
// time limit: 600 s
/**
 * Nobody notices a view: programs come to the same verdict bare, at every trap level, and on every
 * rung of the ladder.
 */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type TransparencyCase, transparencyCases } from "./program-cases.ts";
import { runProgram, temporaryDirectory, V2 } from "./v2.ts";

/** One after the other, so that machines with few processors are not in the way of each other. */
const CASE_LIMIT_S = 60;
const RUN_LIMIT_MS = 400_000;

/** Ways on which the supervisor traces guests, always or to lead them into a mount. */
const LED = /^rung D|^rung C, in a mount/;

/** Stands for a mount where the programs run. */
const MOUNT_HERE = "here";

/** How programs are run: what stands in front of the command. */
const WAYS: { readonly [name: string]: readonly string[] } = {
  "level 0": [],
  "level 2, cold classes": ["--trace=names,mount,exec,identity,socket-create"],
  "level 3, every path let through": ["--trace=path"],
  "level 4, every call": ["--trace=all"],
  "rung B": ["--engine=B"],
  "rung C": ["--engine=C"],
  "rung C, with a mount elsewhere": ["--engine=C", "--mount", "tmpfs::/media"],
  "rung D": ["--engine=D"],
  "level 0, in a mount": ["--mount", MOUNT_HERE],
  "rung C, in a mount": ["--engine=C", "--mount", MOUNT_HERE],
  "rung D, in a mount": ["--engine=D", "--mount", MOUNT_HERE],
};

interface Verdict {
  readonly code: string;
  readonly stdout: string;
}

type Verdicts = { readonly [name: string]: Verdict };

/** Runs cases in one process tree, in directories with the same names in a fresh directory. */
async function verdicts(
  cases: readonly TransparencyCase[],
  prefix: readonly string[],
): Promise<Verdicts> {
  using directory = temporaryDirectory();
  const { path } = directory;
  const work = join(path, "work");
  mkdirSync(work);
  const lines = cases.map(({ name, command }) => {
    const [out, err, code] = ["out", "err", "code"].map((kind) => `../../${name}.${kind}`);
    const limited = `timeout -k 5 ${CASE_LIMIT_S} ${command} > ${out} 2> ${err} < /dev/null`;
    return `(mkdir ${name} && cd ${name} && ${limited}; echo $? > ${code})`;
  });
  const env = { ...process.env, LC_ALL: "C", NODE: process.execPath, HOME: path, TZ: "UTC" };
  const begin = prefix.map((word) => (word === MOUNT_HERE ? `tmpfs::${work}` : word));
  const script = ["cd work", ...lines].join("\n");
  const outcome = await runProgram([...begin, "sh", "-c", script], {
    cwd: path,
    env,
    timeoutMs: RUN_LIMIT_MS,
  });
  assert.equal(outcome.code, 0, outcome.stderr);
  return Object.fromEntries(
    cases.map(({ name }) => {
      const file = join(path, name);
      const code = readFileSync(`${file}.code`, "utf8").trim();
      return [name, { code, stdout: readFileSync(`${file}.out`, "utf8") }];
    }),
  );
}

const all = transparencyCases();
const runnable = all.filter(({ lacks }) => lacks === undefined);
const bare = verdicts(runnable, []);

for (const { name, lacks } of all) {
  if (lacks !== undefined) test(name, (t) => t.skip(lacks));
}

test("the programs do something at all, the same twice", async () => {
  const [first, second] = [await bare, await verdicts(runnable, [])];
  assert.deepEqual(second, first);
  for (const [name, { code, stdout }] of Object.entries(first)) {
    assert.notEqual(code, "124", `${name} takes too long`);
    assert.notEqual(stdout, "", name);
  }
});

for (const [way, options] of Object.entries(WAYS)) {
  test(`${way}: the verdicts are those of the programs run bare`, async () => {
    // Who is traced by the supervisor is traced by nobody else.
    const cases = runnable.filter((one) => !LED.test(way) || !one.traces);
    const trace = options.some((word) => word.startsWith("--trace"))
      ? ["--trace-to=/dev/null"]
      : [];
    const prefix = [process.execPath, V2, "view", ...options, ...trace, "--"];
    const found = await verdicts(cases, prefix);
    const expected = await bare;
    for (const { name } of cases) assert.deepEqual(found[name], expected[name], name);
  });
}
