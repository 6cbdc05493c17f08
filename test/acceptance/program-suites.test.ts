// runs as: user
// time limit: 300 s
/**
 * Tests of real projects, run bare and in views: each single verdict must be the same. Python's
 * own tests of its system interface try most of what a Unix program can ask of the kernel.
 */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { PYTHON } from "./programs.ts";
import { missingProgram, runProgram, temporaryDirectory, V2 } from "./v2.ts";

/** Parts of Python's test suite, and the tests of each that do not wait for seconds. */
const PYTHON_TESTS = {
  test_os: "test.test_os.*",
  test_posix: "test.test_posix.*",
  test_pty: "test.test_pty.*",
  test_mmap: "test.test_mmap.*",
  test_fcntl: "test.test_fcntl.*",
  test_shutil: "test.test_shutil.*",
  test_tempfile: "test.test_tempfile.*",
  test_subprocess: "test.test_subprocess.POSIXProcessTestCase.*",
  test_signal: "test.test_signal.[GPSW]*Tests.*",
} as const;

/** Ways to run them; a trace of everything goes to a file. */
const RUNS = {
  bare: [],
  "at level 0": [],
  "with every call trapped": ["--trace=all", "--trace-to"],
} as const;

/**
 * Verdicts that a view of the host's root does change: its capabilities hold inside only, so there
 * are no attributes "trusted.…".
 */
const KNOWN_OF_ROOT = [
  "test.test_shutil.TestCopy.test_copy2_xattr: skipped",
  "test.test_shutil.TestCopy.test_copyxattr: skipped",
  "test.test_shutil.TestCopy.test_copyxattr_symlinks: skipped",
];

const VERDICTS_LEAST = 700;
const RUN_LIMIT_MS = 240_000;

/** "NAME: VERDICT" of each test, from the report of regrtest. */
function verdicts(xml: string): string[] {
  const found: string[] = [];
  const cases =
    /<testcase name="([^"]+)" status="run" result="completed"[^>]*?(?:\/>|>(.*?)<\/testcase>)/gs;
  for (const [, name, inner = ""] of xml.matchAll(cases)) {
    const verdict = /<(skipped|failure|error)/.exec(inner)?.[1] ?? "passed";
    found.push(`${name}: ${verdict}`);
  }
  return found;
}

/** The test of a verdict; one that fails in several parts has several verdicts. */
const testOf = (verdict: string): string => verdict.slice(0, verdict.lastIndexOf(":"));

/** Runs Python's tests in a directory of their own. */
async function pythonVerdicts(directory: string, prefix: readonly string[]): Promise<string[]> {
  const work = join(directory, "work");
  mkdirSync(work);
  const report = join(directory, "report.xml");
  const names = Object.keys(PYTHON_TESTS);
  const matches = Object.values(PYTHON_TESTS).flatMap((pattern) => ["-m", pattern]);
  const outcome = await runProgram(
    [...prefix, PYTHON, "-m", "test", "-q", "--junit-xml", report, ...names, ...matches],
    {
      cwd: work,
      timeoutMs: RUN_LIMIT_MS,
      env: { ...process.env, TMPDIR: work, LC_ALL: "C.UTF-8" },
    },
  );
  assert.match(outcome.stdout, /Tests? result/, outcome.stderr);
  return verdicts(readFileSync(report, "utf8"));
}

test("the tests of Python come to the same verdicts bare and in views", async (t) => {
  const find = "import importlib.util as u, sys; sys.exit(u.find_spec('test.test_os') is None)";
  const reason =
    missingProgram(PYTHON, "python3") ??
    ((await runProgram([PYTHON, "-I", "-c", find])).code === 0
      ? undefined
      : "needs Python's tests: apt install libpython3.11-testsuite");
  if (reason !== undefined) return t.skip(reason);
  using place = temporaryDirectory();
  // They mostly wait: the runs go side by side.
  const [bare, ...others] = await Promise.all(
    Object.entries(RUNS).map(async ([name, options], index) => {
      const directory = join(place.path, `${index}`);
      mkdirSync(directory);
      const trace = options.length === 0 ? [] : [join(directory, "trace")];
      const view = [process.execPath, V2, "view", ...options, ...trace, "--"];
      const list = await pythonVerdicts(directory, name === "bare" ? [] : view);
      return { name, list };
    }),
  );
  assert.ok(bare!.list.length >= VERDICTS_LEAST, `${bare!.list.length} verdicts`);
  for (const { name, list } of others) {
    const before = new Set(bare!.list);
    const known = new Set(process.getuid!() === 0 ? KNOWN_OF_ROOT : []);
    const differing = list.filter((verdict) => !before.has(verdict) && !known.has(verdict));
    assert.deepEqual(differing, [], name);
    const names = new Set(list.map(testOf));
    const missing = bare!.list.filter((verdict) => !names.has(testOf(verdict)));
    assert.deepEqual(missing, [], name);
  }
  return undefined;
});
