/**
 * Brings a checkout to the point where it runs: installs the npm packages when the lock file
 * changed, compiles when a source changed, and with `--packages` gets the Debian packages of the
 * tests. Says one line for each thing it does and nothing when there is nothing to do. Needs Node
 * and npm only; works as root and as an ordinary user; several at once in one checkout wait for
 * each other.
 *
 * What was done is remembered by content, not by time, so that a fresh copy of a built checkout is
 * as good as the original: `node_modules/.setup-stamp` and `build/.setup-stamp`.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { fetchGuestKernel } from "./guest-kernel.mjs";
import { takeLock } from "./lock.mjs";
import { installPackages } from "./packages.mjs";
import { fetchSourcePackages } from "./source-packages.mjs";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const MODULES_STAMP = join(ROOT, "node_modules", ".setup-stamp");
const BUILD = join(ROOT, "build");
const BUILD_STAMP = join(BUILD, ".setup-stamp");
/** The folders that the compiler reads: one list, in tsconfig.json. */
const SOURCE_FOLDERS = JSON.parse(readFileSync(join(ROOT, "tsconfig.json"), "utf8")).include;

const say = (line) => process.stderr.write(`setup: ${line}\n`);

class SetupError extends Error {}

/** All files under a folder, relative to ROOT, sorted; none when the folder does not exist. */
function filesUnder(folder) {
  const start = join(ROOT, folder);
  if (!existsSync(start)) return [];
  return readdirSync(start, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(ROOT, join(entry.parentPath ?? entry.path, entry.name)))
    .sort();
}

function readStamp(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** Replaced in one step: a reader sees the old stamp or the new one. */
function writeStamp(path, text) {
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

function modulesWanted() {
  const hash = createHash("sha256");
  hash.update(readFileSync(join(ROOT, "package-lock.json")));
  return `${hash.digest("hex")} ${process.platform}-${process.arch}\n`;
}

function sourcesWanted(modules) {
  const hash = createHash("sha256");
  hash.update(modules);
  for (const file of ["tsconfig.json", "package.json", "scripts/bundle.mjs"])
    hash.update(readFileSync(join(ROOT, file)));
  for (const folder of SOURCE_FOLDERS) {
    for (const file of filesUnder(folder)) {
      if (!file.endsWith(".ts")) continue;
      hash.update(`\0${file}\0`).update(readFileSync(join(ROOT, file)));
    }
  }
  return `${hash.digest("hex")}\n`;
}

/** Runs a tool quietly; its output is shown when it fails. */
function run(what, program, words) {
  const result = spawnSync(program, words, {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "pipe"],
    encoding: "utf8",
    maxBuffer: 64 << 20,
  });
  if (result.status === 0) return;
  process.stderr.write(`${result.stdout ?? ""}${result.stderr ?? ""}`);
  throw new SetupError(`${what} failed${result.error ? `: ${result.error.message}` : ""}`);
}

function install(wanted) {
  say("npm ci");
  // Under `npm start` the same npm is at hand; NODE_ENV=production must not leave the compiler out.
  const npm = process.env.npm_execpath;
  const words = ["ci", "--include=dev", "--no-audit", "--no-fund", "--loglevel=error"];
  if (npm?.endsWith(".js")) run("npm ci", process.execPath, [npm, ...words]);
  else run("npm ci", "npm", words);
  writeStamp(MODULES_STAMP, wanted);
}

/** Compiled files whose source is gone must not run: a deleted test would live on. */
function removeStaleOutputs() {
  let removed = 0;
  for (const folder of SOURCE_FOLDERS) {
    for (const file of filesUnder(join("build", folder))) {
      const source = relative("build", file).replace(/\.(?:js|js\.map|d\.ts)$/, ".ts");
      if (existsSync(join(ROOT, source))) continue;
      rmSync(join(ROOT, file), { force: true });
      removed++;
    }
    removeEmptyFolders(join(BUILD, folder));
  }
  if (removed > 0) say(`removed ${removed} compiled files without a source`);
}

function removeEmptyFolders(folder) {
  if (!existsSync(folder)) return;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) removeEmptyFolders(join(folder, entry.name));
  }
  if (readdirSync(folder).length === 0) rmdirSync(folder);
}

function outputOf(source) {
  return join(BUILD, source.replace(/\.ts$/, ".js"));
}

function isComplete() {
  return SOURCE_FOLDERS.flatMap(filesUnder).every(
    (file) => !file.endsWith(".ts") || file.endsWith(".d.ts") || existsSync(outputOf(file)),
  );
}

function compile(wanted) {
  say("tsc");
  mkdirSync(BUILD, { recursive: true });
  rmSync(BUILD_STAMP, { force: true });
  removeStaleOutputs();
  // The incremental compiler trusts its notes and would not write again what somebody deleted.
  if (!isComplete()) rmSync(join(BUILD, ".tsbuildinfo"), { force: true });
  run("tsc", process.execPath, [
    join(ROOT, "node_modules", "typescript", "bin", "tsc"),
    "-p",
    ROOT,
  ]);
  run("the bundles", process.execPath, [join(ROOT, "scripts", "bundle.mjs")]);
  const program = join(BUILD, "src", "cli", "main.js");
  if (existsSync(program)) chmodSync(program, 0o755);
  writeStamp(BUILD_STAMP, wanted);
}

function isReady() {
  const modules = modulesWanted();
  return (
    readStamp(MODULES_STAMP) === modules &&
    readStamp(BUILD_STAMP) === sourcesWanted(modules) &&
    isComplete()
  );
}

async function setUp() {
  if (process.platform !== "linux") throw new SetupError("Virtual Square runs on Linux");
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    throw new SetupError(`Node ${process.versions.node} is too old; 20.19 or newer is needed`);
  }
  const packages = process.argv.includes("--packages");
  if (!packages && isReady()) return;
  const release = await takeLock(ROOT, () => say("another set-up is at work here; waiting"));
  try {
    const modules = modulesWanted();
    if (readStamp(MODULES_STAMP) !== modules) install(modules);
    const sources = sourcesWanted(modules);
    if (readStamp(BUILD_STAMP) !== sources || !isComplete()) compile(sources);
    if (packages) {
      installPackages(say);
      fetchGuestKernel(say);
      fetchSourcePackages(say);
    }
  } finally {
    release();
  }
}

try {
  await setUp();
} catch (error) {
  if (error instanceof SetupError) {
    say(error.message);
  } else if (error.code === "EACCES" || error.code === "EROFS") {
    say(`${error.path}: not writable; run the set-up as the owner of the checkout first`);
  } else {
    throw error;
  }
  process.exitCode = 1;
}
