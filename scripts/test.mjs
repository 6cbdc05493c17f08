/**
 * The test runner: checks, unit tests in one process, then every interop and acceptance file in a
 * process of its own. Compiled files only; `npm test` compiles first (setup.mjs).
 *
 *   npm test                      everything
 *   npm test -- switch            files whose path contains "switch", no checks
 *   npm test -- --unit            checks and unit tests only
 *   npm test -- --as user switch  run by root: only as the ordinary user (or `--as root`)
 *
 * A file says in its first lines how it wants to run: `// runs as: root` or `// runs as: user`
 * (default: both, when root runs the tests), and `// time limit: 300 s` (default 120 s). Exit 1
 * after any failure, and with CI=true after any skipped test too.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { openAccounts } from "./accounts.mjs";
import { runTests } from "./run-file.mjs";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const UNIT_LIMIT_MS = 300_000;
const FILE_LIMIT_S = 120;
/** A head line that steers the runner must stand this near to the top. */
const HEAD_LINES = 15;

const say = (line) => process.stdout.write(`${line}\n`);

function parseWords(words) {
  const options = { filters: [], only: undefined, unitOnly: false };
  for (let i = 0; i < words.length; i++) {
    if (words[i] === "--unit") options.unitOnly = true;
    else if (words[i] === "--as") options.only = words[++i];
    else if (words[i].startsWith("-")) throw new Error(`unknown option ${words[i]}`);
    else options.filters.push(words[i]);
  }
  if (![undefined, "root", "user"].includes(options.only)) throw new Error("--as root|user");
  return options;
}

/** Compiled test files, relative to the checkout, in alphabetical order. */
function testFiles() {
  const files = ["build/src", "build/test"].flatMap((folder) =>
    existsSync(join(ROOT, folder))
      ? readdirSync(join(ROOT, folder), { recursive: true })
          .filter((name) => name.endsWith(".test.js"))
          .map((name) => join(folder, name))
      : [],
  );
  return files.sort((a, b) => (a < b ? -1 : 1));
}

const isAlone = (file) => /^build\/test\/(?:interop|acceptance)\//.test(file);

/** What the head of a file asks for. Read from the source: the compiler may drop comments. */
function headOf(file) {
  const source = join(ROOT, relative("build", file).replace(/\.js$/, ".ts"));
  const lines = readFileSync(existsSync(source) ? source : join(ROOT, file), "utf8").split("\n");
  const head = lines.slice(0, HEAD_LINES).join("\n");
  return {
    runsAs: /\bruns as: (root|user)\b/.exec(head)?.[1],
    limitMs: Number(/\btime limit: (\d+) s\b/.exec(head)?.[1] ?? FILE_LIMIT_S) * 1000,
  };
}

function check(name, words) {
  const result = spawnSync(process.execPath, words, {
    cwd: ROOT,
    encoding: "utf8",
    maxBuffer: 64 << 20,
  });
  if (result.status === 0) return { rows: [{ outcome: "passed", name }], output: "" };
  const error = `${result.stdout ?? ""}${result.stderr ?? ""}${result.error ?? ""}`;
  return { rows: [{ outcome: "failed", name, error }], output: "" };
}

/** Adds up outcomes and tells each group in one line, failures and skips below it. */
class Tally {
  passed = 0;
  failed = 0;
  skipped = 0;

  add(title, { rows, output }, startedMs) {
    const counts = { passed: 0, failed: 0, skipped: 0 };
    for (const row of rows) counts[row.outcome]++;
    for (const key of Object.keys(counts)) this[key] += counts[key];
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
    const sum = Object.entries(counts)
      .filter(([key, count]) => count > 0 || key === "passed")
      .map(([key, count]) => `${count} ${key}`);
    say(`${counts.failed > 0 ? "FAIL" : "ok  "} ${title}: ${sum.join(", ")} (${seconds} s)`);
    for (const row of rows) {
      if (row.outcome === "skipped") say(`     skipped: ${row.name}: ${row.reason}`);
      if (row.outcome === "failed") this.#tellFailure(row);
    }
    if (counts.failed > 0 && output.trim() !== "") say(indent(`output:\n${output.trimEnd()}`));
  }

  #tellFailure(row) {
    const file = row.file?.replace(/^file:\/\//, "");
    const place = file === undefined ? "" : ` (${relative(ROOT, file)}:${row.line}:${row.column})`;
    say(`     failed: ${row.name}${place}`);
    say(indent(row.error));
  }
}

const indent = (text) => text.replace(/^/gm, "       ");

async function main() {
  const { filters, only, unitOnly } = parseWords(process.argv.slice(2));
  const tally = new Tally();
  const files = testFiles().filter(
    (file) => filters.length === 0 || filters.some((filter) => file.includes(filter)),
  );
  if (files.length === 0) throw new Error(`no test file matches ${filters.join(" ")}`);
  if (filters.length === 0) {
    const bin = (name) => join(ROOT, "node_modules", name);
    let started = performance.now();
    tally.add(
      "format",
      check("biome format", [bin("@biomejs/biome/bin/biome"), "format", "."]),
      started,
    );
    started = performance.now();
    const lint = [bin("oxlint/bin/oxlint"), "--type-aware", "--deny-warnings"];
    tally.add("lint", check("oxlint", lint), started);
  }
  const { accounts, problem } = openAccounts(ROOT, only);
  process.on("SIGINT", () => process.exit(130));
  process.on("SIGTERM", () => process.exit(143));
  const unit = files.filter((file) => !isAlone(file));
  if (unit.length > 0 && accounts.length > 0) {
    const account = accounts[0];
    const list = join(account.folder, "unit-files");
    writeFileSync(list, unit.map((file) => join(account.root, file)).join("\n"));
    const started = performance.now();
    const words = [join(account.root, "scripts", "unit.mjs"), list];
    tally.add(`unit, ${unit.length} files`, await runTests(account, words, UNIT_LIMIT_MS), started);
  }
  if (!unitOnly) await runAlone(files.filter(isAlone), accounts, problem, only, tally);
  say(`${tally.passed} passed, ${tally.failed} failed, ${tally.skipped} skipped`);
  const strict = process.env["CI"] === "true";
  return tally.failed > 0 || (strict && tally.skipped > 0) ? 1 : 0;
}

async function runAlone(files, accounts, problem, only, tally) {
  const isRoot = process.getuid() === 0;
  for (const file of files) {
    const { runsAs, limitMs } = headOf(file);
    const title = relative("build/test", file).replace(/\.test\.js$/, "");
    const fitting = accounts.filter((account) => runsAs === undefined || account.name === runsAs);
    for (const account of fitting) {
      const started = performance.now();
      const result = await runTests(account, [join(account.root, file)], limitMs);
      tally.add(`${title} as ${account.name}`, result, started);
    }
    const skip = (reason) =>
      tally.add(
        title,
        { rows: [{ outcome: "skipped", name: title, reason }], output: "" },
        performance.now(),
      );
    if (problem !== undefined && runsAs !== "root" && only !== "root") skip(problem);
    if (!isRoot && runsAs === "root") skip("needs root: run npm test as root");
  }
}

process.exitCode = await main();
