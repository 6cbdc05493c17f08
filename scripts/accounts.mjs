/**
 * Who runs a test file. As root the files run twice: as root and as an ordinary user, because what
 * works for one of them fails for the other. Each account gets a home and a run-time folder of its
 * own in a temporary folder, and a copy of the build when it may not read the checkout.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, sep } from "node:path";

/** The ordinary user of the tests, made when root runs them. */
const TEST_USER = "v2test";

/** Packages that only build and check; a copy for the ordinary user goes without them. */
const TOOLS = [
  "@biomejs",
  "@oxlint",
  "@oxlint-tsgolint",
  "@typescript",
  "oxlint",
  "oxlint-tsgolint",
];

/** What of a checkout a running test reads. */
const COPIED = ["build", "src", "test", "examples", "scripts", "package.json", "node_modules"];

function idOf(flag, user) {
  const result = spawnSync("id", [flag, user], { encoding: "utf8" });
  return result.status === 0 ? Number(result.stdout.trim()) : undefined;
}

/** @returns uid and gid of the test user, made if missing; a string: why there is none. */
function testUser() {
  if (idOf("-u", TEST_USER) === undefined) {
    const words = ["--system", "--user-group", "--home-dir", "/nonexistent", "--shell", "/bin/sh"];
    const made = spawnSync("useradd", [...words, TEST_USER], { encoding: "utf8" });
    if (made.status !== 0) {
      return `useradd ${TEST_USER}: ${(made.stderr ?? String(made.error)).trim()}`;
    }
  }
  return { uid: idOf("-u", TEST_USER), gid: idOf("-g", TEST_USER) };
}

/**
 * Command words that run what follows as the user, without groups, capabilities or environment of
 * root.
 */
function asUser({ uid, gid }) {
  return ["setpriv", "--reuid", `${uid}`, "--regid", `${gid}`, "--clear-groups", "--inh-caps=-all"];
}

function canUse(prefix, flag, path) {
  const [program, ...words] = [...prefix, "test", flag, path];
  return spawnSync(program, words).status === 0;
}

/** A checkout (and a node) that the account can read: the given one, or a copy below `folder`. */
function readable(prefix, root, folder) {
  const probe = join(root, "build", "src", "base", "index.js");
  const modules = join(root, "node_modules", "koffi", "package.json");
  const mayRead = canUse(prefix, "-r", probe) && canUse(prefix, "-r", modules);
  let node = process.execPath;
  if (!canUse(prefix, "-x", node)) {
    node = join(folder, "node");
    cpSync(process.execPath, node);
    chmodSync(node, 0o755);
  }
  if (mayRead) return { root, node };
  const copy = join(folder, "checkout");
  mkdirSync(copy);
  for (const name of COPIED) {
    const from = join(root, name);
    if (!existsSync(from)) continue;
    cpSync(from, join(copy, name), {
      recursive: true,
      force: true,
      errorOnExist: false,
      filter: (path) => !TOOLS.some((tool) => path.includes(`node_modules${sep}${tool}`)),
    });
  }
  spawnSync("chmod", ["-R", "a+rX", copy]);
  return { root: copy, node };
}

function environment(folder, user) {
  const runtime = join(folder, "run");
  const kept = ["PATH", "LANG", "LC_ALL", "TERM", "CI", "NODE_OPTIONS", "NODE_EXTRA_CA_CERTS"];
  const values = Object.fromEntries(
    kept.filter((name) => process.env[name] !== undefined).map((name) => [name, process.env[name]]),
  );
  for (const [name, value] of Object.entries(process.env)) {
    if (name.startsWith("V2_")) values[name] = value;
  }
  return {
    ...values,
    HOME: join(folder, "home"),
    USER: user,
    LOGNAME: user,
    TMPDIR: join(folder, "tmp"),
    XDG_RUNTIME_DIR: runtime,
  };
}

/** Home, run-time and temporary folder of one account, owned by it. */
function makeFolders(folder, ids) {
  chmodSync(folder, 0o755);
  for (const name of ["home", "run", "tmp", "report"]) {
    const path = join(folder, name);
    mkdirSync(path, { mode: 0o700 });
    if (ids !== undefined) chownSync(path, ids.uid, ids.gid);
  }
}

/**
 * The accounts that test files run under: `{ name, prefix, root, node, env, folder }`. `prefix` is
 * the start of the command line; the folder goes when this process ends.
 * @param root the checkout
 * @param only "root" or "user": that account alone
 * @returns the accounts, and `problem` when the ordinary user could not be had
 */
export function openAccounts(root, only) {
  const isRoot = process.getuid?.() === 0;
  const accounts = [];
  let problem;
  const open = (name, ids) => {
    // The names of sockets must fit into sun_path (108 octets): a short folder.
    const folder = mkdtempSync(join(tmpdir(), "v2t-"));
    process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
    makeFolders(folder, ids);
    const prefix = ids === undefined ? [] : asUser(ids);
    const place =
      ids === undefined ? { root, node: process.execPath } : readable(prefix, root, folder);
    const user = ids === undefined ? (process.env.USER ?? name) : TEST_USER;
    const env = environment(folder, user);
    accounts.push({ name, prefix, ...place, env, folder });
  };
  if (only !== "user" || !isRoot) {
    if (isRoot || only !== "root") open(isRoot ? "root" : "user", undefined);
  }
  if (isRoot && only !== "root") {
    const ids = testUser();
    if (typeof ids === "string") problem = ids;
    else open("user", ids);
  }
  return { accounts, problem };
}
