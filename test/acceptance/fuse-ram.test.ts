// time limit: 300 s
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import type { HostTask } from "./fuse-host.ts";
import { inMount } from "./fuse-support.ts";

/** Runs a script in a memory file system; each line of `expected` is one of its output. */
async function says(
  shell: string,
  expected: readonly string[],
  task: Partial<HostTask> = {},
): Promise<void> {
  const { code, stdout, stderr } = await inMount({ module: "ram", shell, ...task });
  assert.deepEqual([stderr, code], ["", 0]);
  assert.deepEqual(stdout.trimEnd().split("\n"), expected);
}

/** A Python 3 program as a line of a script: it has the calls that the shell has not. */
function python(program: string): string {
  return `python3 - <<'END'\nimport mmap, os, errno\n${program}\nEND\n`;
}

const hasPython = spawnSync("python3", ["--version"]).status === 0;
const hasGit = spawnSync("git", ["--version"]).status === 0;

for (const writeback of [false, true]) {
  const how = writeback ? "with" : "without";
  for (const seed of [1, 2, 3]) {
    test(`memory ${how} writeback does what tmpfs does, seed ${seed}`, async () => {
      const differential = { seed, operations: 6000, hasLinks: true, sizeMax: 40_000 };
      const { code, stdout, stderr } = await inMount({ module: "ram", writeback, differential });
      assert.equal(stdout, "");
      assert.equal(code, 0, stderr);
    });
  }

  test(`programs are stored, run and removed, ${how} writeback`, async () => {
    const script = `
      mkdir -p a/b/c && cp /bin/true a/b/run && a/b/run && echo ran
      printf one >f && printf two >>f && cat f && echo
      ln f hard && ln -s f soft && cat hard soft && echo
      stat -c '%h %s' f && mv f a/b/c/g && cat a/b/c/g && echo
      chmod 751 a && stat -c %a a && touch -d @1000000000.5 hard && stat -c %.1Y hard
      find . | sort | tr '\\n' ' ' && echo
      rm -r a hard soft && ls -A | wc -l`;
    const found = ". ./a ./a/b ./a/b/c ./a/b/c/g ./a/b/run ./hard ./soft ";
    const lines = ["ran", "onetwo", "onetwoonetwo", "2 6", "onetwo", "751", "1000000000.5"];
    await says(script, [...lines, found, "0"], { writeback });
  });

  test(`a tree is copied and compared, ${how} writeback`, async () => {
    const script = `
      cp -r --preserve=mode,timestamps /usr/include/linux tree
      diff -r /usr/include/linux tree && echo same
      tar cf tree.tar tree && mkdir out && tar xf tree.tar -C out
      diff -r tree out/tree && echo same
      head -c 120000000 /dev/zero | tr '\\0' x >large && wc -c <large
      head -c 120000000 /dev/zero | tr '\\0' x | cmp - large && echo same`;
    await says(script, ["same", "same", "120000000", "same"], { writeback });
  });

  test(`git makes a repository, ${how} writeback`, async (t) => {
    if (!hasGit) return t.skip("needs git: apt install git");
    const script = `
      export HOME=$PWD GIT_CONFIG_NOSYSTEM=1
      git init -q repository && cd repository
      git config user.email me@example.org && git config user.name me
      for i in 1 2 3 4 5 6 7 8 9; do echo $i >file$i; done
      git add . && git commit -qm first && echo more >>file1 && git commit -qam second
      git gc -q && git fsck --strict 2>&1 && git log --format=%s && git status --short`;
    await says(script, ["second", "first"], { writeback });
  });

  test(`mappings, holes, and files without a name, ${how} writeback`, async (t) => {
    if (!hasPython) return t.skip("needs Python: apt install python3");
    const program = `
f = os.open("f", os.O_RDWR | os.O_CREAT, 0o600)
os.ftruncate(f, 1 << 40)
os.pwrite(f, b"end", (1 << 40) - 3)
os.pwrite(f, b"begin", 0)
st = os.fstat(f)
print(st.st_size, st.st_blocks * 512 < 10 << 20)
print(os.lseek(f, 0, os.SEEK_HOLE) < 2 << 20)
print(os.lseek(f, 2 << 20, os.SEEK_DATA) >= (1 << 40) - (1 << 20))
print(os.pread(f, 5, 500000), os.pread(f, 10, (1 << 40) - 3))
m = mmap.mmap(f, 8192)
m[100:103] = b"map"
m.flush()
print(os.pread(f, 3, 100))
os.unlink("f")
os.ftruncate(f, 4)
print(os.pread(f, 100, 0), os.fstat(f).st_nlink)
m.close()
g = os.open("g", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
os.write(g, b"x" * 10000); os.write(g, b"y")
h = os.open("g", os.O_RDWR | os.O_TRUNC)
print(os.fstat(g).st_size, os.write(g, b"z"), os.pread(h, 9, 0))
os.posix_fallocate(g, 0, 100000)
print(os.fstat(g).st_size, os.pread(h, 3, 0))
os.setxattr("g", "user.one", b"1"); os.setxattr("g", "user.two", b"22")
print(sorted(os.listxattr("g")), os.getxattr("g", "user.two"))
os.removexattr("g", "user.one")
try: os.getxattr("g", "user.one")
except OSError as e: print(e.errno == errno.ENODATA)
k = os.open("k", os.O_RDWR | os.O_CREAT)
print(os.copy_file_range(h, k, 50000) > 0, os.pread(k, 2, 0))
os.rename("k", "g")
print(os.pread(h, 1, 0), os.stat("g").st_ino == os.fstat(k).st_ino)
`;
    const expected = [
      "1099511627776 True",
      // What is not written out yet is no hole, so that there are none.
      writeback ? "False" : "True",
      writeback ? "False" : "True",
      "b'\\x00\\x00\\x00\\x00\\x00' b'end'",
      "b'map'",
      "b'begi' 0",
      "0 1 b'z'",
      "100000 b'z\\x00\\x00'",
      "['user.one', 'user.two'] b'22'",
      "True",
      "True b'z\\x00'",
      "b'z' True",
    ];
    await says(python(program), expected, { writeback });
  });
}

test("a directory is read while its entries go, and one of 20 000", async () => {
  const script = `
    mkdir d && cd d && seq 20000 | xargs touch && ls | wc -l && ls -f | sort | uniq -d | wc -l
    find . -type f -delete && ls -A | wc -l`;
  await says(script, ["20000", "0", "0"]);
});

test("a mount is made by hand and served through a cloned descriptor", async () => {
  const script = "cp /bin/true run && ./run && echo ran; cp -r /usr/include/linux . && ls | xargs";
  await says(script, ["ran", "linux run"], { isCloned: true });
});

test("space and files are limited", async () => {
  const script = `
    head -c 2000000 /dev/zero >f 2>&1 || echo full
    rm f && head -c 900000 /dev/zero >f && rm f && head -c 900000 /dev/zero >f && echo again
    for i in 1 2 3 4 5 6 7 8 9; do true >n$i || break; done 2>/dev/null; ls | wc -l
    df --output=itotal . | tail -n 1 | tr -d ' '`;
  const { stdout, code } = await inMount({
    module: "ram",
    shell: script,
    options: { size: "1m", nr_inodes: "8" },
  });
  assert.deepEqual([code, stdout.split("\n").slice(0, 4)], [0, ["full", "again", "7", "8"]]);
});
