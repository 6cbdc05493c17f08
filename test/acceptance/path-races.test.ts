/**
 * Nothing gets past a decision about paths (`--deny`): not by racing with the supervisor, not by
 * another way into the kernel. Each way is shown to work where nothing is denied.
 */
// time limit: 600 s
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { compile, missingProgram, runProgram, temporaryDirectory, v2 } from "./v2.ts";

const SOURCE = fileURLToPath(new URL("../../../test/fixtures/path-races.c", import.meta.url));

/** Rounds of a race that must be lost, and of one that must be won once. */
const ROUNDS = 3000;
const ROUNDS_BARE = 3_000_000;

/** DIR of the program: a file that may be read and one that may not. */
function prepare(parent: string): string {
  const directory = join(parent, "tree");
  for (const name of ["public", "secret", "other"]) {
    mkdirSync(join(directory, name), { recursive: true });
  }
  writeFileSync(join(directory, "public", "flag"), "public");
  writeFileSync(join(directory, "secret", "flag"), "secret");
  return directory;
}

/** Ways that the kernel of this machine, or its root, may not have. */
const NOT_EVERYWHERE: ReadonlySet<string> = new Set(["x32", "interrupt", "io_uring", "mounts"]);

const WAYS = [
  ["memory", "a path that another thread rewrites"],
  ["opath", "descriptors that only name, made while another thread rewrites their path"],
  ["openat2", "flags in memory that another thread rewrites"],
  ["links", "symbolic links that are swapped"],
  ["names", "another name of the file, or of a directory above it"],
  ["handles", "handles of files"],
  ["mounts", "mounts, old and new, and namespaces of its own"],
  ["proc", "another process's root"],
  ["io_uring", "io_uring"],
  ["x32", "x32 calls"],
  ["interrupt", "the 32-bit entry of the kernel"],
  ["code", "a call whose instruction another thread rewrites"],
] as const;

/** With namespaces, and without: by notifications, by ptrace. */
const ENGINES = ["A", "C", "D"] as const;

for (const [engine, [way, description]] of ENGINES.flatMap((engine) =>
  WAYS.map((way) => [engine, way] as const),
)) {
  test(`${engine}: a denied file is not reached by ${description}`, async (t) => {
    const reason = missingProgram("gcc", "gcc");
    if (reason !== undefined) return t.skip(reason);
    using parent = temporaryDirectory();
    const flags = ["-O1", "-Wall", "-pthread"];
    const program = compile(SOURCE, join(parent.path, "path-races"), ...flags);
    const bareTree = prepare(join(parent.path, "bare"));
    const bare = await runProgram([program, way, bareTree, String(ROUNDS_BARE)]);
    if (!NOT_EVERYWHERE.has(way)) assert.match(bare.stdout, /^LEAK /, `${way} works`);
    const tree = prepare(parent.path);
    const deny = join(tree, "secret");
    const view = ["view", `--engine=${engine}`, "--deny", deny, "--"];
    const words = [...view, program, way, tree, String(ROUNDS)];
    const denied = await v2(words, { timeoutMs: 120_000 });
    assert.deepEqual([denied.code, denied.stdout, denied.stderr], [0, "tight\n", ""]);
    return undefined;
  });
}

for (const engine of ENGINES) {
  test(`${engine}: what is not denied is there, and the rest of the machine works`, async () => {
    using parent = temporaryDirectory();
    const tree = prepare(parent.path);
    const script = `
cat ${tree}/public/flag; cat ${tree}/secret/flag; ls ${tree}/secret; echo new > ${tree}/other/new
cat ${tree}/other/new; mkdir ${tree}/other/d && rmdir ${tree}/other/d; mount -t tmpfs none /mnt && ls /mnt
`;
    const view = ["view", `--engine=${engine}`, "--deny", join(tree, "secret"), "--"];
    const outcome = await v2([...view, "sh", "-c", script]);
    assert.equal(outcome.stdout, "publicnew\n");
    assert.equal(outcome.stderr.match(/Permission denied/g)?.length, 2);
  });
}
