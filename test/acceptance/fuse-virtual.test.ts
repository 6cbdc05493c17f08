// time limit: 300 s
import assert from "node:assert/strict";
import { test } from "node:test";
import { inMount, testModule } from "./fuse-support.ts";

const MODULE = testModule("fuse-modules");

function inKind(kind: string, shell: string) {
  return inMount({ module: MODULE, options: { kind }, shell });
}

/** Runs a script in a mount of one of the descriptions; each line of output is expected. */
async function says(kind: string, shell: string, expected: readonly string[]): Promise<void> {
  const { code, stdout, stderr } = await inKind(kind, shell);
  assert.deepEqual([stderr, code], ["", 0]);
  assert.deepEqual(stdout.trimEnd().split("\n"), expected);
}

test("a description of a dozen lines is a file system", async () => {
  const script = `
    ls && cat hello && cat any && stat -c '%s %a' hello && find . | sort | xargs
    cp world copy 2>/dev/null || echo read-only; grep -r O . | sort | xargs`;
  const found = ". ./hello ./world";
  const lines = ["hello", "world", "HELLO", "ANY", "6 444", found, "read-only"];
  await says("shout", script, [...lines, "./hello:HELLO ./world:WORLD"]);
});

for (const [kind, operations] of [
  ["complete", 5000],
  ["async", 1500],
] as const) {
  test(`a description that can do everything does what tmpfs does (${kind})`, async () => {
    const differential = { seed: 5, operations, hasLinks: false, sizeMax: 20_000 };
    const { code, stdout, stderr } = await inMount(
      { module: MODULE, options: { kind }, differential },
      120_000,
    );
    assert.deepEqual([stdout, stderr, code], ["", "", 0]);
  });
}

test("programs are copied in, run, moved, and removed", async () => {
  const script = `
    cp /bin/true run && chmod 755 run && ./run && echo ran && mkdir d && mv run d/moved && d/moved
    ln -s d/moved link && ./link && readlink link && echo x >>d/f && echo y >>d/f && cat d/f
    sort d/f -ro d/f && cat d/f && rm -r d link && ls -A | wc -l`;
  await says("complete", script, ["ran", "d/moved", "x", "y", "y", "x", "0"]);
});

test("a slow function holds up only its own caller", async () => {
  const script = `
    cat slow & start=$(date +%s%N)
    for i in 1 2 3 4 5 6 7 8; do cat quick; done | wc -l
    test $(( ($(date +%s%N) - start) / 1000000 )) -lt 1200 && echo quick
    wait && echo slow`;
  await says("awkward", script, ["8", "quick", "text", "slow"]);
});

test("an interrupted caller goes, whatever the function does", async () => {
  const script = `
    timeout -s INT 0.5 cat hangs || echo $?
    { timeout -s KILL 0.5 cat hangs; } 2>/dev/null || echo $?
    timeout -s INT 0.5 ls names || echo $?
    { timeout -s KILL 0.5 ls names; } 2>/dev/null || echo $?
    cat quick`;
  await says("awkward", script, ["124", "137", "124", "137", "text"]);
});

test("a function that throws or answers nonsense is an errno for its caller", async () => {
  const script = `
    for f in throws garbage refused; do ls $f 2>&1 | sed 's/.*: //'; done; cat quick`;
  const { code, stdout, stderr } = await inKind("awkward", script);
  const expected = ["Input/output error", "Invalid argument", "Permission denied", "text", ""];
  assert.deepEqual([code, stdout.split("\n")], [0, expected]);
  assert.match(stderr, /^problem: a mistake of the module$/m);
});

test("pieces of a large file are read where they are asked for", async () => {
  const script = `
    stat -c %s tebi
    dd if=tebi bs=1M skip=1000000 count=3 status=none | md5sum | cut -c1-8
    dd if=tebi bs=1 skip=1099511627774 count=9 status=none | od -An -tu1 | xargs`;
  const { stdout } = await inKind("large", script);
  const place = 1_000_000 * 2 ** 20;
  const expected = Buffer.alloc(3 << 20);
  for (let i = 0; i < expected.length; i++) expected[i] = (place + i) % 251;
  const { createHash } = await import("node:crypto");
  const digest = createHash("md5").update(expected).digest("hex").slice(0, 8);
  const last = [2 ** 40 - 2, 2 ** 40 - 1].map((at) => at % 251).join(" ");
  assert.deepEqual(stdout.trimEnd().split("\n"), ["1099511627776", digest, last]);
});

test("what has changed is seen at once, although everything stays true for ever", async () => {
  const script = `
    first=$(cat ticks); sleep 0.5; second=$(cat ticks)
    test $second -gt $first && echo counts
    test -e tick9999 || echo missing
    next=$((second + 4)); test -e tick$next || echo not yet
    for i in 1 2 3 4 5 6 7 8 9 10; do test -e tick$next && echo there && break; sleep 0.05; done`;
  await says("ticking", script, ["counts", "missing", "not yet", "there"]);
});

test("when a module's thread dies its guests are told, and its process lives", async () => {
  const script = `
    i=0; cat hello
    while cat "file$i" >/dev/null 2>&1; do i=$((i + 1)); sleep 0.1; done
    sleep 0.3; cat hello 2>&1 | sed 's/.*: //'`;
  const { code, stdout, stderr } = await inKind("crashing", script);
  assert.deepEqual([code, stdout], [0, "HELLO\nTransport endpoint is not connected\n"]);
  assert.match(stderr, /a mistake in a timer/);
});

test("a module that gives no file system is refused with what to do", async () => {
  const { code, stderr } = await inKind("none", "true");
  assert.notEqual(code, 0);
  assert.match(stderr, /gave no file system/);
});
