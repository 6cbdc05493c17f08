// runs as: user
// time limit: 300 s
/**
 * Tests of real projects, run bare and in views: each single verdict must be the same. Python's
 * own tests of its system interface try most of what a Unix program can ask of the kernel;
 * busybox's try its shell and the tools of a small system, by thousands of short processes.
 */
import assert from "node:assert/strict";
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { PYTHON, SOURCES } from "./programs.ts";
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

/** Applets of busybox whose tests are short and ask nothing of the network. */
const APPLETS =
  "ash awk basename cat cmp cp cpio cut date dd diff dirname du echo expr false find grep gunzip " +
  "gzip head hostname id ln ls mkdir mv od paste patch pidof printf pwd readlink realpath rm rmdir " +
  "sed sort start-stop-daemon strings tail tar tee test touch tr true uniq unzip uptime wc which xargs";

/** Ways to run them: the levels of traps. */
const LEVELS = {
  bare: [],
  "at level 0": [],
  "at level 2": ["--trace=socket-create,identity,time", "--trace-to=/dev/null"],
  "at level 3": ["--trap=path"],
  "at level 4": ["--trace=all", "--trace-to=/dev/null"],
} as const;

const APPLET_VERDICTS_LEAST = 500;

/** What busybox's tests say, line by line: "PASS: sed n", and what differs for a failure. */
async function busyboxVerdicts(directory: string, prefix: readonly string[]): Promise<string[]> {
  const source = join(SOURCES, "busybox");
  mkdirSync(join(directory, "scripts"), { recursive: true });
  cpSync(join(source, "testsuite"), join(directory, "testsuite"), { recursive: true });
  copyFileSync(join(source, "scripts/echo.c"), join(directory, "scripts/echo.c"));
  copyFileSync(join(source, "debian/config/pkg/static"), join(directory, ".config"));
  const where = (await runProgram(["sh", "-c", "command -v busybox"])).stdout.trim();
  copyFileSync(where, join(directory, "busybox"));
  const outcome = await runProgram([...prefix, "./runtest", ...APPLETS.split(" ")], {
    cwd: join(directory, "testsuite"),
    timeoutMs: RUN_LIMIT_MS,
    env: { ...process.env, LC_ALL: "C" },
  });
  return outcome.stdout.split("\n").filter((line) => /^[A-Z]+: /.test(line));
}

test("the tests of busybox come to the same verdicts bare and at every level", async (t) => {
  const reason =
    missingProgram("busybox", "busybox-static") ??
    missingProgram("gcc", "gcc") ??
    (existsSync(join(SOURCES, "busybox"))
      ? undefined
      : "needs the source of Debian's busybox: node scripts/setup.mjs --packages, as root");
  if (reason !== undefined) return t.skip(reason);
  using place = temporaryDirectory();
  let runs = 0;
  const run = async (name: keyof typeof LEVELS): Promise<string> => {
    const view = [process.execPath, V2, "view", ...LEVELS[name], "--"];
    // The tests cannot bear a blank in the name of their directory.
    const directory = join(place.path, `${runs++}`);
    return (await busyboxVerdicts(directory, name === "bare" ? [] : view)).join("\n");
  };
  const names = Object.keys(LEVELS) as (keyof typeof LEVELS)[];
  const [bare, ...others] = await Promise.all(names.map(run));
  const count = bare!.split("\n").length;
  assert.ok(count >= APPLET_VERDICTS_LEAST, `${count} verdicts`);
  const verdicts = bare!.split("\n");
  for (const [index, name] of names.slice(1).entries()) {
    // A signal can interrupt a trapped call (docs/view.md), but hardly the same one again and
    // again: each verdict is to be the bare one in one of three runs.
    const seen = new Set(others[index]!.split("\n"));
    const missing = (): string[] => verdicts.filter((verdict) => !seen.has(verdict));
    for (let again = 0; again < 2 && missing().length > 0; again++) {
      for (const verdict of (await run(name)).split("\n")) seen.add(verdict);
    }
    assert.deepEqual(missing(), [], name);
  }
  return undefined;
});
