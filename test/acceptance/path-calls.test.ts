/**
 * Calls that name files, answered by the supervisor (`--trap=path`): ordinary programs see no
 * difference.
 */
// time limit: 240 s
import assert from "node:assert/strict";
import { chmodSync, existsSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { compile, missingProgram, runProgram, temporaryDirectory, v2 } from "./v2.ts";

const FIXTURES = fileURLToPath(new URL("../../../test/fixtures/", import.meta.url));

/** Compiles a program of test/fixtures. */
function fixture(folder: string, name: string, ...flags: readonly string[]): string {
  const source = join(FIXTURES, `${name}.c`);
  return compile(source, join(folder, name), "-O1", "-Wall", "-pthread", ...flags);
}

/** With and without namespaces. */
const TRAPPED = [
  ["view", "--trap=path", "--"],
  ["view", "--engine=C", "--trap=path", "--"],
];

/** Runs a script bare and trapped; all must say and return the same. */
async function same(interpreter: readonly string[], script: string): Promise<string> {
  const outcomes = [];
  for (const prefix of [[], ...TRAPPED]) {
    using directory = temporaryDirectory();
    const options = { cwd: directory.path, timeoutMs: 100_000 };
    const words = [...interpreter, script];
    const run =
      prefix.length === 0 ? runProgram(words, options) : v2([...prefix, ...words], options);
    const { code, signal, stdout, stderr } = await run;
    outcomes.push({ code, signal, stdout, stderr });
  }
  const [bare, ...trapped] = outcomes;
  for (const outcome of trapped) assert.deepEqual(outcome, bare);
  return bare!.stdout;
}

test("files are made, examined, changed, linked, renamed and removed as without a trap", async () => {
  const script = `
umask 027; mkdir a; touch a/f; ln -s f a/l; ln a/f a/h; mkdir a/d; rmdir a/d
stat -c '%n %a %h %F %s' a a/f a/l; chmod 640 a/f; mv a/h a/g; ls a; readlink a/l
test -w /etc/passwd; echo w$?; test -r /etc/shadow; echo r$?
touch -d '2001-02-03 04:05:06' a/f; stat -c %y a/f; touch -h -d '2002-02-03' a/l; stat -c %y a/l
ln -s nowhere dangling; echo made > dangling; cat nowhere; mkdir dangling 2>/dev/null; echo $?
df --output=fstype / /proc | cat; truncate -s 9 a/f; wc -c < a/f; rm -r a; ls
cd /proc/self/cwd && pwd -P | sed 's/.*-//' | wc -l; mknod p p && stat -c %F p
chown 12345 p 2>/dev/null; echo $?
`;
  assert.match(await same(["bash", "-c"], script), /2001-02-03 04:05:06/);
});

test("a git repository, a C program, make and tar come out the same", async (t) => {
  const reason =
    missingProgram("git", "git") ?? missingProgram("gcc", "gcc") ?? missingProgram("make", "make");
  if (reason !== undefined) return t.skip(reason);
  const script = `
git init -q r; cd r; git config user.email a@b; git config user.name n
echo x > y; git add y; git commit -qm m; git log --oneline | wc -l; git status --short; cd ..
echo 'int main(){return 3;}' > t.c; gcc -o t t.c; ./t; echo gcc $?
printf 'all: t2\\nt2: t.c\\n\\tgcc -o t2 t.c\\n' > Makefile; make; make
tar cf x.tar r t.c; mkdir o; tar xf x.tar -C o; diff -r r o/r && diff t.c o/t.c && echo same
`;
  const output = await same(["bash", "-c"], script);
  assert.match(output, /gcc 3\n[^]*same\n$/);
  return undefined;
});

test("a program in Python finds every errno, flag, attribute and /proc/self as ever", async (t) => {
  const reason = missingProgram("python3", "python3");
  if (reason !== undefined) return t.skip(reason);
  const output = await same(["python3"], join(FIXTURES, "path-calls.py"));
  assert.match(output, /^True True\n\[True\] python3\n/);
  return undefined;
});

test("/self means the caller even where /proc is its root", async () => {
  const script = `
import os
os.chroot("/proc"); os.chdir("/")
me = str(os.getpid())
thread = os.readlink("/thread-self")
print(os.readlink("/self") == me, os.readlink("self") == me, thread.startswith(me))
print(open("/self/comm").read() == open("self/comm").read() == open("/" + me + "/comm").read())`;
  const python = ["/usr/bin/python3", "-c", script];
  for (const trap of [[], ["--trap=path"], ["-p", "real"]]) {
    const { code, stdout, stderr } = await v2(["view", "--root", ...trap, "--", ...python]);
    assert.deepEqual([code, stdout], [0, "True True True\nTrue\n"], stderr);
  }
});

test("an open that waits keeps nobody else waiting, and ends as signals want it", async (t) => {
  const reason = missingProgram("python3", "python3");
  if (reason !== undefined) return t.skip(reason);
  const script = `
mkfifo p q
(sleep 0.2; echo through >p) & cat p
cat q & c=$!; sleep 0.3; echo alive; kill $c; wait $c; echo killed $?
timeout 0.5 cat p; echo $?
cat > catches <<'END'
trap "echo caught" USR1; (sleep 0.3; kill -USR1 $$; sleep 0.3; echo x >q) & read l <q; echo got $l
END
bash catches
python3 - <<'END'
import signal
class T(Exception): pass
def handle(number, frame): raise T()
signal.signal(signal.SIGALRM, handle); signal.setitimer(signal.ITIMER_REAL, 0.3)
try: open("q")
except T: print("alarm")
END
for i in 1 2 3 4; do cat p >/dev/null & done; sleep 0.4; echo still; ls
kill %1 %2 %3 %4 2>/dev/null
cat <(echo substituted); echo in | cat /dev/stdin; echo out > /dev/stdout
`;
  assert.match(await same(["bash", "-c"], script), /through[^]*alive[^]*caught[^]*got x[^]*alarm/);
  return undefined;
});

test("a terminal is the caller's own", async (t) => {
  const reason = missingProgram("script", "bsdutils");
  if (reason !== undefined) return t.skip(reason);
  using directory = temporaryDirectory();
  const file = join(directory.path, "answer");
  const inside = `tty > ${file}; echo word > /dev/tty; stat -c %t:%T /dev/tty >> ${file}`;
  const words = ["script", "-qec", inside, "/dev/null"];
  const trapped = await v2(["view", "--trap=path", "--", ...words]);
  assert.match(trapped.stdout, /word/);
  const { stdout } = await runProgram(["cat", file]);
  assert.match(stdout, /^\/dev\/pts\/\d+\n5:0\n$/);
});

test("a 32-bit caller gets the old layouts, octet by octet", async (t) => {
  const reason = missingProgram("gcc", "gcc");
  if (reason !== undefined) return t.skip(reason);
  using directory = temporaryDirectory();
  const program = fixture(directory.path, "old-layouts");
  const file = join(directory.path, "file");
  writeFileSync(file, "content\n");
  const bare = await runProgram([program, "examine", file]);
  const trapped = await v2(["view", "--trap=path", "--", program, "examine", file]);
  assert.equal(bare.code, 0);
  assert.deepEqual(trapped, bare);
  const changed = [];
  for (const prefix of [[], ["view", "--trap=path", "--"]]) {
    writeFileSync(file, "content\n");
    chmodSync(file, 0o600);
    const words = [program, "change", file];
    const outcome = await (prefix.length === 0 ? runProgram(words) : v2([...prefix, ...words]));
    const { size, mode, atimeMs, mtimeMs } = statSync(file);
    changed.push({ ...outcome, size, mode, atimeMs, mtimeMs });
  }
  assert.deepEqual(changed[1], changed[0]);
  assert.equal(changed[0]!.atimeMs, 1_000_000_002_000);
  return undefined;
});

test("only the calls that were asked for are answered by the supervisor", async () => {
  // A guest of the class path-write creates with its own open, and removes by the supervisor's.
  using directory = temporaryDirectory();
  const file = join(directory.path, "file");
  for (const trap of ["path-write", "path-read", "writing", "unlinkat,unlink"]) {
    const outcome = await v2([
      "view",
      `--trap=${trap}`,
      "--",
      "sh",
      "-c",
      `: >${file} && rm ${file}`,
    ]);
    assert.deepEqual([outcome.code, outcome.stderr], [0, ""]);
    assert.equal(existsSync(file), false);
  }
});

test("a wrong class and a relative path are told before anything starts", async () => {
  const wrong = await v2(["view", "--trap=files", "--", "true"]);
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /'files' is no class and no system call/);
  const relative = await v2(["view", "--deny", "etc", "--", "true"]);
  assert.equal(relative.code, 2);
});
