// time limit: 300 s
import assert from "node:assert/strict";
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import {
  inView,
  missingProgram,
  type Outcome,
  runProgram,
  temporaryDirectory,
  V2,
  v2,
} from "./v2.ts";

const COMMAND = `'${process.execPath}' '${V2}'`;
/** Historical names as functions of the shell, so that scripts read as users write them. */
const HABITS = [
  "vuname viewname vu_insmod vu_rmmod vu_lsmod um_add_service um_ls_service um_fsalias",
  "umshutdown vudebug umview umvu vumount vuumount viewmount viewumount viewlogin",
]
  .join(" ")
  .split(" ")
  .map((name) => `${name}() { ${COMMAND} ${name} "$@"; }\n`)
  .join("");

const script = (text: string): string => `${HABITS}${text}`;
const inNamedView = (text: string, options: readonly string[] = []): Promise<Outcome> =>
  inView(script(text), options);

test("outside a view vuname is uname, and with -x an error", async () => {
  for (const options of [[], ["-a"], ["-s"], ["-n", "-r"], ["-v"], ["-m"], ["-p", "-i"], ["-o"]]) {
    const expected = await runProgram(["uname", ...options]);
    const outcome = await v2(["vuname", ...options]);
    assert.deepEqual(outcome, expected, options.join(" "));
  }
  const prompt = await v2(["vuname", "-P"]);
  assert.equal(prompt.stdout, (await runProgram(["uname", "-n"])).stdout);
  assert.deepEqual(await v2(["vuname", "-U", "-V"]), { ...prompt, stdout: "\n" });
  const loud = await v2(["vuname", "-x"]);
  assert.equal(loud.code, 1);
  assert.match(loud.stderr, /only inside a view/);
  const quiet = await v2(["vuname", "-xq"]);
  assert.deepEqual([quiet.code, quiet.stderr, quiet.stdout], [1, "", ""]);
  const name = await v2(["viewname", "-q"]);
  assert.deepEqual([name.code, name.stderr], [1, ""]);
});

test("inside a view vuname and viewname know and set the view's name", async () => {
  const { stdout, stderr } = await inNamedView(`
    vuname -s; viewname; [ "$(vuname -P)" = "$(uname -n)[$(vuname -U)]" ] && echo prompt
    [ "$(viewname -p)" = "$(uname -n)[$(vuname -U):1]" ] && echo prompt
    vuname blue; viewname; vuname -P; vuname -N; vuname -V; vuname -o; viewname -p
    vuname --json | grep -c '"viewname":"blue"'
    [ "$(vuname -a)" != "$(uname -a)" ] && vuname -a | grep -c View-OS
    viewname 'two words' || echo refused`);
  assert.equal(
    stdout,
    `Linux\n\nprompt\nprompt\nblue\nblue\nblue\nblue\nGNU/Linux/View-OS\nblue\n1\n1\nrefused\n`,
  );
  assert.match(stderr, /cannot name a view/);
});

test("commands of a view say so outside one", async () => {
  for (const words of [
    ["vu_insmod", "x"],
    ["vu_rmmod", "x"],
    ["vu_lsmod"],
    ["um_fsalias", "a", "b"],
    ["umshutdown", "1"],
    ["vudebug", "+s"],
    ["viewname"],
    ["vuname", "blue"],
    ["um_attach", "1"],
  ]) {
    const outcome = await v2(words);
    assert.equal(outcome.code, 1, words.join(" "));
    assert.match(outcome.stderr, /only inside a view[^]*v2 view/, words.join(" "));
  }
});

test("wrong words end with 2 and say what is right", async () => {
  for (const words of [
    ["vu_insmod"],
    ["um_del_service"],
    ["um_fsalias", "a", "b", "c"],
    ["umshutdown", "soon"],
    ["vudebug", "s"],
    ["vudebug", "+s", "--"],
    ["viewname", "-p", "blue"],
    ["vuname", "-a", "blue"],
    ["um_attach", "me"],
    ["umvu", "-d", "+", "true"],
    ["umvu", "-D", "s:z", "true"],
    ["umview", "--no-such"],
    ["umview", "--engine=Z", "true"],
  ]) {
    const outcome = await v2(words);
    assert.equal(outcome.code, 2, `${words.join(" ")}: ${outcome.stderr}`);
    assert.equal(outcome.stdout, "");
  }
});

for (const rung of ["A", "C"]) {
  test(`aliases of mount types are listed, used, replaced and removed on rung ${rung}`, async () => {
    const { stdout, code } = await inNamedView(
      `um_fsalias scratch nosuchtype && um_fsalias scratch tmpfs && um_fsalias other tmpfs
       um_fsalias
       viewmount -t scratch none /mnt && grep -c ' /mnt tmpfs ' /proc/self/mounts
       viewumount -l /mnt
       um_fsalias scratch && um_fsalias --json; vuname --rung
       vumount --types scratch none /mnt 2>/dev/null`,
      [`--engine=${rung}`],
    );
    assert.equal(stdout, `scratch tmpfs\nother tmpfs\n1\n{"other":"tmpfs"}\n${rung}\n`);
    assert.equal(code, 1);
  });
}

test("vudebug logs what it is asked to, of everybody or of one command, in colour", async () => {
  const { stdout, stderr, code } = await inNamedView(`
    vudebug '?ps' ; vudebug +s:r; vuumount /mnt 2>/dev/null; vudebug; vudebug -
    vumount -t tmpfs none /mnt
    vudebug +sa -- sh -c '${COMMAND} vuumount /mnt; exit 7'; echo $?
    vudebug`);
  assert.equal(code, 0);
  assert.equal(stdout, "p -   PATH\ns -   SYSCALL\ns\n7\n");
  const visible = stderr.replaceAll("\u001B", "ESC");
  assert.match(visible, /^ESC\[31ms \d+ umount2\("\/mnt", 0\) = -1 EINVAL [^\n]*ESC\[0m$/m);
  assert.match(stderr, /s \d+ umount2\("\/mnt", 0\) = 0[^]*a \d+ umount2: done/);
  assert.ok(!stderr.includes("mount("), stderr);
});

test("umshutdown ends the view that it is called in", async () => {
  const outcome = await inNamedView("umshutdown 1; sleep 60; echo survived");
  assert.deepEqual([outcome.stdout, outcome.signal], ["", "SIGTERM"]);
});

test("umview and umvu take the options of their originals and keep the exit status", async () => {
  using directory = temporaryDirectory();
  const rc = join(directory.path, "rc");
  writeFileSync(rc, "#!/bin/sh\nmount -t tmpfs none /mnt && echo from rc >/mnt/rc\n");
  chmodSync(rc, 0o755);
  const home = { ...process.env, HOME: directory.path };
  const first = await v2(["umview", "-nx", "-f", rc, "sh", "-c", "cat /mnt/rc; exit 7"], {
    env: home,
  });
  assert.deepEqual([first.stdout, first.code], ["from rc\n", 7]);
  assert.match(first.stderr, /--nokernelpatch does nothing[^]*--nonesting does nothing/);
  const quiet = await v2(["kmview", "-q", "--nokmulti", "-u", "true"], { env: home });
  assert.deepEqual([quiet.code, quiet.stderr], [0, ""]);
  cpSync(rc, join(directory.path, ".vurc"));
  const second = await v2(["umvu", "cat", "/mnt/rc"], { env: home });
  assert.deepEqual([second.stdout, second.code], ["from rc\n", 0]);
  const without = await v2(["umvu", "-N", "test", "-e", "/mnt/rc"], { env: home });
  assert.equal(without.code, 1);
  chmodSync(join(directory.path, ".vurc"), 0o644);
  const locked = await v2(["umvu", "test", "-e", "/mnt/rc"], { env: home });
  assert.equal(locked.code, 1);
  assert.match(locked.stderr, /\.vurc is not executable: left out/);
  const log = join(directory.path, "log");
  const debug = await v2(["umvu", "-N", "-d", "s", "-o", log, "hostname", "x"], { env: home });
  assert.equal(debug.code, 0);
  assert.match(readFileSync(log, "utf8"), /sethostname\("x", 1\) = 0/);
  const name = `classic-${process.pid}`;
  const named = await v2(["umview", "-V", name, "sh", "-c", script("viewname")], { env: home });
  assert.equal(named.stdout, `${name}\n`);
});

/** Runs a script where /etc is a copy with more in it; as an ordinary user, too. */
async function withEtc(files: { readonly [name: string]: string }, text: string): Promise<Outcome> {
  using directory = temporaryDirectory();
  const etc = join(directory.path, "etc");
  mkdirSync(etc);
  for (const name of ["passwd", "group", "nsswitch.conf", "ld.so.cache", "hostname"]) {
    if (existsSync(`/etc/${name}`)) cpSync(`/etc/${name}`, join(etc, name));
  }
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(etc, name), content, { mode: 0o755 });
  }
  return await runProgram(
    ["unshare", "-rm", "sh", "-c", `mount --bind '${etc}' /etc && ${script(text)}`],
    { env: { ...process.env, HOME: directory.path } },
  );
}

test("the system's start-up files run before the command, in order, in the view", async () => {
  const files = {
    viewosrc: "#!/bin/sh\nmount -t tmpfs none /mnt; echo first >>/mnt/rc\n",
    vurc: "#!/bin/sh\necho second >>/mnt/rc; exit 3\n",
  };
  const outcome = await withEtc(files, "umvu cat /mnt/rc; umvu -N test -e /mnt/rc");
  assert.equal(outcome.stdout, "first\nsecond\n", outcome.stderr);
  assert.equal(outcome.code, 1);
});

test("a login shell puts the login into a view, with what /etc/viewospasswd says", async () => {
  const files = {
    viewospasswd: `# comment\nroot:-V "login" /bin/sh\nada:/bin/false\n`,
    viewosrc: "#!/bin/sh\nmount -t tmpfs none /mnt\n",
  };
  const outcome = await withEtc(
    files,
    `ln -s '${V2}' "$HOME/viewlogin"
     echo 'df --output=fstype /mnt; ${COMMAND} viewname' | viewlogin
     viewlogin -c 'echo by ssh; ${COMMAND} viewname'`,
  );
  assert.equal(outcome.stdout, "Type\ntmpfs\nlogin\nby ssh\nlogin\n", outcome.stderr);
  const unknown = await withEtc({ viewospasswd: "ada:/bin/sh\n" }, "viewlogin");
  assert.equal(unknown.code, 1);
  assert.match(unknown.stderr, /has no line of root/);
  const open = await withEtc({ viewospasswd: "root:sh -c 'x\n" }, "viewlogin");
  assert.match(open.stderr, /a quote of root's command is open/);
});

const noScript = missingProgram("script", "bsdutils");

test("a shell's prompt shows the view, unless it shall not", { skip: noScript }, async () => {
  const shown = async (options: string, shell = "sh"): Promise<string> => {
    const command = `${COMMAND} view ${options} -- ${shell}`;
    const typed = 'echo "[$debian_chroot]"; exit\n';
    const env = { ...process.env, PS1: "", HOME: "/" };
    const { stdout } = await runProgram(["script", "-qec", command, "/dev/null"], {
      input: typed,
      env,
    });
    return /^\[(.*)\]\r?$/m.exec(stdout.replaceAll("\u001B[?2004l\r", ""))?.[1] ?? stdout;
  };
  const name = `prompt-${process.pid}`;
  assert.equal(await shown(`--name ${name}`), name);
  assert.match(await shown("", "bash --norc"), /^view\[\d+\]$/);
  assert.equal(await shown(`--name ${name}-2 --no-prompt`), "");
  const plain = await inView("echo [$debian_chroot]", ["--name", `${name}-3`]);
  assert.equal(plain.stdout, "[]\n");
});
