/**
 * Sources of Debian packages that the tests build, or whose own tests they run. They are fetched
 * with apt from where the machine's packages come from, and not vendored: 3 MB, and the list of all
 * source packages, which is forgotten again.
 */
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Holds a folder for each package; known to test/acceptance/programs.ts too. */
const FOLDER = "/var/cache/virtualsquare/sources";

/** The one list. */
const SOURCE_PACKAGES = ["hostname", "busybox"];

const FETCH_LIMIT_MS = 300_000;

/** Sources in both of apt's forms (sources.list(5)), asked for programs' sources instead. */
function sourceLists() {
  const folder = "/etc/apt/sources.list.d";
  const parts = existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : [];
  return ["/etc/apt/sources.list", ...parts]
    .filter((path) => /\.(?:list|sources)$/.test(path) && existsSync(path))
    .map((path) => [
      path.replaceAll("/", "-").slice(1),
      readFileSync(path, "utf8")
        .replaceAll(/^deb\b(?!-src)/gm, "deb-src")
        .replaceAll(/^Types:.*$/gm, "Types: deb-src"),
    ]);
}

/** An apt that has lists and a cache of its own, and leaves those of the machine alone. */
function makeApt(folder) {
  for (const name of ["parts", "lists/partial", "cache/archives/partial"]) {
    mkdirSync(join(folder, name), { recursive: true });
  }
  for (const [name, text] of sourceLists()) writeFileSync(join(folder, "parts", name), text);
  const settings = {
    "Dir::Etc::SourceList": "/dev/null",
    "Dir::Etc::SourceParts": join(folder, "parts"),
    "Dir::State::Lists": join(folder, "lists"),
    "Dir::Cache": join(folder, "cache"),
    "APT::Sandbox::User": "root",
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} "${value}";\n`);
  writeFileSync(join(folder, "apt.conf"), lines.join(""));
  const env = { ...process.env, APT_CONFIG: join(folder, "apt.conf"), LC_ALL: "C" };
  return (...words) => {
    const given = { cwd: folder, env, encoding: "utf8", timeout: FETCH_LIMIT_MS };
    const result = spawnSync("apt-get", ["-qq", ...words], given);
    if (result.status === 0) return;
    const reason = (result.stderr ?? String(result.error)).trim().split("\n").at(-1);
    throw new Error(`apt-get ${words.join(" ")}: ${reason}`);
  };
}

/**
 * Fetches the sources that are missing when that is possible at all: as root, on Debian. Never
 * fails: the tests that need one say so.
 * @param say called with one line for each thing done
 */
export function fetchSourcePackages(say) {
  if (process.getuid?.() !== 0 || !existsSync("/usr/bin/dpkg-source")) return;
  const missing = SOURCE_PACKAGES.filter((name) => !existsSync(join(FOLDER, name)));
  if (missing.length === 0) return;
  say(`fetching the sources of Debian packages: ${missing.join(" ")}`);
  const folder = mkdtempSync(join(tmpdir(), "v2-sources-"));
  try {
    const apt = makeApt(folder);
    apt("update");
    apt("source", ...missing);
    mkdirSync(FOLDER, { recursive: true, mode: 0o755 });
    for (const name of missing) {
      const unpacked = readdirSync(folder, { withFileTypes: true }).find(
        (entry) => entry.isDirectory() && entry.name.startsWith(`${name}-`),
      );
      const path = join(folder, unpacked.name);
      spawnSync("chmod", ["-R", "a+rX", path]);
      spawnSync("mv", ["-T", path, join(FOLDER, `${name}.new`)]);
      renameSync(join(FOLDER, `${name}.new`), join(FOLDER, name));
    }
  } catch (error) {
    say(`no sources (${error.message}); the tests that need them will say so`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
