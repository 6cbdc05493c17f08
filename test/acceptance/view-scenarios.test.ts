// runs as: user
// time limit: 300 s
/**
 * The scenarios of the tutorials and manual pages of View-OS and VUOS, typed as a user types them:
 * by the historical names, which are programs in a folder of the path.
 */
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type Outcome, runProgram, temporaryDirectory, V2, v2 } from "./v2.ts";

/** A user's home, with the names in `bin`. */
interface Home extends Disposable {
  readonly path: string;
  /** Types a script into a shell outside of any view. */
  type(script: string): Promise<Outcome>;
}

async function userHome(): Promise<Home> {
  const directory = temporaryDirectory();
  const { path } = directory;
  const bin = join(path, "bin");
  mkdirSync(bin);
  // The compiled program need not be executable here, so the links are no more than a list.
  const links = join(path, "links");
  assert.equal((await v2(["links", links])).code, 0);
  for (const name of readdirSync(links)) {
    const words = name === "v2" ? "" : name;
    const program = `#!/bin/sh\nexec '${process.execPath}' '${V2}' ${words} "$@"\n`;
    writeFileSync(join(bin, name), program, { mode: 0o755 });
  }
  const env = { ...process.env, HOME: path, PATH: `${bin}:${process.env["PATH"]}` };
  return {
    path,
    type: (script) => runProgram(["sh"], { input: script, env, cwd: path }),
    [Symbol.dispose]: () => directory[Symbol.dispose](),
  };
}

/** The lines that a script has printed; it must have succeeded without a word of complaint. */
function lines({ stdout, stderr, code }: Outcome): string[] {
  assert.deepEqual([stderr, code], ["", 0], stdout);
  return stdout.trimEnd().split("\n");
}

test("basics: a view changes nothing but what is asked of it, and tells who serves it", async () => {
  using home = await userHome();
  const outside = lines(await home.type("id -u; pwd; uname -n; tty; ls /; umask; echo $HOME"));
  const inside = lines(
    await home.type("umvu sh -c 'id -u; pwd; uname -n; tty; ls /; umask; echo $HOME'"),
  );
  assert.deepEqual(inside, outside);
  const [host, server, prompt, again] = lines(
    await home.type("umvu sh -c 'uname -n; vuname -U; vuname -P; umview vuname -U'"),
  );
  assert.match(server!, /^\d+$/);
  assert.equal(prompt, `${host}[${server}]`);
  assert.equal(again, server, "a view inside has the same supervisor");
  const mounts = lines(
    await home.type(`
      umvu sh -c 'vumount -t tmpfs none /mnt && touch /mnt/seen && ls /mnt && vuumount /mnt'
      ls /mnt | grep -c '^seen$' || true`),
  );
  assert.deepEqual(mounts, ["seen", "0"]);
});

test("a name: given at the start, changed from inside, found from outside", async () => {
  using home = await userHome();
  const name = `v${process.pid}`;
  const found = lines(
    await home.type(`
      umvu -V ${name} sh -c '
        viewname; vuname -P
        viewname ${name}.2; vuname -V
        v2 view list | grep -c "^${name}\\.2 "
        v2 view list | grep -c "^${name} " || true'`),
  );
  assert.deepEqual(found, [name, name, `${name}.2`, "1", "0"]);
});

test("nesting: a view inside sees what is around it, and what it does stays inside", async () => {
  using home = await userHome();
  mkdirSync(join(home.path, "dir"));
  const seen = lines(
    await home.type(`umvu sh -c '
      mount -t tmpfs none /mnt; echo outer >/mnt/file; um_fsalias scratch tmpfs
      umvu sh -c "
        cat /mnt/file; vuname --viewid
        mount -t scratch none $HOME/dir; touch $HOME/dir/inner
        mount --bind $HOME/dir /mnt; ls /mnt
        um_fsalias scratch; hostname inner-host
        umvu sh -c \\"vuname --viewid; uname -n; ls /mnt; umount /mnt; cat /mnt/file\\"
        ls /mnt"
      cat /mnt/file; ls $HOME/dir | wc -l; um_fsalias; [ $(uname -n) = inner-host ] || echo ours'`),
  );
  assert.deepEqual(
    seen.join(" ").replaceAll("  ", " "),
    ["outer 2 inner", "3 inner-host inner outer", "inner", "outer 0 scratch tmpfs ours"].join(" "),
  );
});

test("the same place mounted again and again: each umount uncovers what was below", async () => {
  using home = await userHome();
  const seen = lines(
    await home.type(`umvu sh -c '
      for n in 1 2 3; do vumount -t tmpfs none /mnt; echo $n >/mnt/n; done
      for n in 1 2 3; do cat /mnt/n; vuumount /mnt; done
      ls /mnt | grep -c "^n$" || true'`),
  );
  assert.deepEqual(seen, ["3", "2", "1", "0"]);
});

test("a file over a file: another resolv.conf for a view alone", async () => {
  using home = await userHome();
  const before = readFileSync("/etc/resolv.conf", "utf8");
  const seen = lines(
    await home.type(`
      echo 'nameserver 10.9.8.7' >resolv
      umvu sh -c '
        mount --bind resolv /etc/resolv.conf; cat /etc/resolv.conf; umount /etc/resolv.conf
        vumount -B resolv /etc/resolv.conf; cat /etc/resolv.conf
        rm resolv; cat /etc/resolv.conf'`),
  );
  assert.deepEqual(
    seen,
    Array.from({ length: 3 }, () => "nameserver 10.9.8.7"),
  );
  assert.equal(readFileSync("/etc/resolv.conf", "utf8"), before);
});

test("a mount point that is not there: refused with the reason, its parent served by a cover", async () => {
  using home = await userHome();
  mkdirSync(join(home.path, "parent", "child"), { recursive: true });
  const seen = await home.type(`umvu sh -c '
    vumount -t tmpfs none $HOME/parent/ghost || echo refused
    mkdir $HOME/cover; vumount -t tmpfs none $HOME/cover
    mkdir $HOME/cover/child $HOME/cover/ghost; vumount -B $HOME/parent/child $HOME/cover/child
    vumount -B $HOME/cover $HOME/parent; vumount -t tmpfs none $HOME/parent/ghost
    touch $HOME/parent/ghost/file; ls $HOME/parent/ghost'; ls parent`);
  assert.equal(seen.stdout, "refused\nfile\nchild\n");
  assert.match(seen.stderr, /ghost: No such file or directory/);
});

test("start-up files prepare the view: mounts, aliases, a name", async () => {
  using home = await userHome();
  writeFileSync(
    join(home.path, ".viewosrc"),
    "#!/bin/sh\num_fsalias scratch tmpfs\nviewname prepared$PPID\nmount -t scratch none /mnt\n",
  );
  chmodSync(join(home.path, ".viewosrc"), 0o755);
  const seen = lines(
    await home.type(`umvu sh -c 'um_fsalias; [ $(viewname) = prepared$$ ] && echo named
      df --output=fstype /mnt | tail -1'
      umvu -N sh -c 'um_fsalias; viewname'`),
  );
  assert.deepEqual(seen, ["scratch tmpfs", "named", "tmpfs"]);
});

test("umshutdown: the view ends, tidily where it can, and the rest of the system does not", async () => {
  using home = await userHome();
  const seen = await home.type(`
    sleep 30 & outside=$!
    umvu sh -c '
      sh -c "trap \\"echo tidied; exit\\" TERM; while :; do sleep 0.1; done" &
      (trap "" TERM; while :; do sleep 0.1; done) &
      sleep 0.3; umshutdown 1; wait; sleep 30'
    echo ended; kill $outside && echo alive`);
  assert.deepEqual(seen.stdout.trim().split("\n").sort(), ["alive", "ended", "tidied"]);
  assert.ok(!seen.stderr.includes("v2:"), seen.stderr);
});

test("umshutdown inside a view inside ends that one alone", async () => {
  using home = await userHome();
  const seen = await home.type(`umvu sh -c '
    umvu sh -c "umshutdown 0; sleep 30"; echo outer lives; vuname -x -q --viewid'`);
  assert.equal(seen.stdout, "outer lives\n1\n");
});

test("vudebug: a log for a command, for the view, and off again", async () => {
  using home = await userHome();
  const { stdout, stderr } = await home.type(`umvu sh -c '
    vudebug +s -- vumount -t tmpfs none /mnt
    vuumount /mnt
    vudebug +a 2>log; vumount -t tmpfs none /mnt; vudebug -; vuumount /mnt
    grep -c "mount: done" log; grep -c umount log || true; vudebug
    vudebug +np 2>log; umvu true; vumount -t tmpfs none /mnt; vudebug -
    grep -c "^n [0-9]* view 2 begins inside view 1$" log
    grep -c "^p [0-9]* mount: \\"/mnt\\"$" log'`);
  assert.equal(stdout, "1\n0\n1\n1\n");
  assert.match(stderr, /^s \d+ mount\("none", "\/mnt", "tmpfs", 0, NULL\) = 0$/m);
  assert.ok(!stderr.includes("umount2"), stderr);
});

test("modules: by name and by file, listed, in use, permanent, with an alias", async () => {
  using home = await userHome();
  const files = "list: () => ['made'], stat: () => ({ type: 'directory' }), read: () => ''";
  const own = `export default module('own', { mount: () => vfs({ ${files} }) });`;
  const imports = "import { module, vfs } from 'virtualsquare/viewos';";
  writeFileSync(join(home.path, "own.mjs"), `${imports}\n${own}\n`);
  const seen = await home.type(`umvu sh -c '
    vu_insmod shout ./own.mjs && vu_lsmod | sort
    mount -t shout none /mnt && cat /mnt/hello; vu_rmmod shout || echo in use
    umount /mnt; um_del_service shout && um_ls_service
    um_fsalias mine own; vumount -t mine none /mnt && ls /mnt; vuumount /mnt
    vu_rmmod own; um_add_service -p ./own.mjs; vu_rmmod own || echo stays
    vu_insmod nowhere || echo none such; vu_rmmod nowhere || echo not there
    vudebug +m; vu_insmod shout; vu_rmmod shout; vudebug -'`);
  const lines = seen.stdout.trimEnd().split("\n");
  assert.match(lines[0]!, /^own:/);
  assert.match(lines[1]!, /^shout:/);
  assert.deepEqual(
    lines.slice(2),
    ["HELLO", "in use", lines[0]!, "made", "stays", "none such", "not there"],
    seen.stderr,
  );
  assert.match(seen.stderr, /shout: module 'shout' is in use/);
  assert.match(seen.stderr, /m \d+ insmod shout: done\nm \d+ rmmod shout: done\n/);
});

test("modules at the start: umview -p, with calls that only then can be trapped", async () => {
  using home = await userHome();
  const seen = lines(
    await home.type(`
      umview -p unreal sh -c 'um_ls_service | cut -d: -f1; tail -1 /unreal/etc/hosts' >seen
      (echo unreal; tail -1 /etc/hosts) | cmp - seen && echo same
      umview -p shout sh -c 'mount -t shout none /mnt; cat /mnt/hello'
      umview sh -c 'umview -p shout um_ls_service | cut -d: -f1'
      umview -p nowhere true 2>/dev/null || echo refused`),
  );
  assert.deepEqual(seen, ["same", "HELLO", "shout", "refused"]);
});
