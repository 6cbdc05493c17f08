// time limit: 300 s
import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { View, type ViewOptions } from "../../src/engine/index.ts";
import { temporaryDirectory } from "./v2.ts";

const PYTHON = existsSync("/usr/bin/python3") ? "/usr/bin/python3" : "python3";

/** Does what each line of its input says, and prints what came of it. */
const GUEST = `
import os, socket, sys, errno
def attempt(call):
    try: return call() or "ok"
    except OSError as error: return errno.errorcode[error.errno]
CALLS = {
  "uname": lambda: os.uname().nodename,
  "socket": lambda: socket.socket(socket.AF_INET).close(),
  "read": lambda: open("/no/such").read(),
}
for line in sys.stdin: print(attempt(CALLS[line.strip()]), flush=True)
`;

/** A process in a view that makes calls when it is told to. */
class Guest {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(view: View) {
    this.#child = view.spawn([PYTHON, "-c", GUEST], { stdio: ["pipe", "pipe", "inherit"] });
    this.#lines = createInterface(this.#child.stdout!)[Symbol.asyncIterator]();
  }

  async call(name: string): Promise<string> {
    this.#child.stdin!.write(`${name}\n`);
    return String((await this.#lines.next()).value);
  }

  async end(): Promise<void> {
    this.#child.stdin!.end();
    if (this.#child.exitCode === null) await once(this.#child, "exit");
  }
}

/** A view for a test, and a maker of module files. */
async function live(name: string, options: Partial<ViewOptions> = {}) {
  const directory = temporaryDirectory();
  const view = await View.create({ ...options, name: `${name}-${process.pid}` });
  return {
    view,
    module(source: string): string {
      const file = join(directory.path, `${name}.mjs`);
      writeFileSync(file, `import { module } from "virtualsquare/viewos";\n${source}`);
      return file;
    },
    async [Symbol.asyncDispose]() {
      await view.close();
      directory[Symbol.dispose]();
    },
  };
}

const named = (name: string): string =>
  `export default module("named", { on: { uname: (c) => c.reply({ nodename: "${name}" }) } });`;

test("a module answers running processes as soon as it is in, and no longer than it is", async () => {
  await using made = await live("in-and-out");
  const { view } = made;
  const guest = new Guest(view);
  const own = await guest.call("uname");
  assert.deepEqual(await view.insert(made.module(named("mars"))), ["named"]);
  assert.equal(await guest.call("uname"), "mars");
  const [listed] = await view.modules();
  assert.deepEqual([listed?.name, listed?.operations], ["named", ["uname"]]);
  await view.remove("named");
  assert.equal(await guest.call("uname"), own);
  // The file is read anew.
  await view.insert(made.module(named("venus")));
  assert.equal(await guest.call("uname"), "venus");
  await assert.rejects(view.insert(made.module(named("x"))), { code: "EEXIST" });
  await view.remove("named");
  await assert.rejects(view.remove("named"), { code: "ENOENT" });
  await guest.end();
});

test("a module is not removed while a call waits for it, nor ever when it is permanent", async () => {
  await using made = await live("busy");
  const { view } = made;
  const file = made.module(`
    let release;
    let asked = 0;
    export default [
      module("busy", { on: { socket: (call) => new Promise((resolve) => {
        release = () => resolve(call.fail("EAGAIN"));
      }) } }),
      module("free", { on: { uname: (call) => {
        const waits = release !== undefined;
        if (asked++ > 0 && waits) release();
        if (!waits) asked = 0;
        return call.reply({ nodename: waits ? "waits" : "nothing" });
      } } }),
      module("stays", { permanent: true }),
    ];`);
  await view.insert(file);
  const [waiting, other] = [new Guest(view), new Guest(view)];
  const pending = waiting.call("socket");
  // Until the call has come, there is another module to look at.
  while ((await other.call("uname")) !== "waits")
    await assert.rejects(view.remove("stays"), { code: "EPERM" });
  await assert.rejects(view.remove("busy"), { code: "EBUSY" });
  await assert.rejects(view.remove("stays"), { code: "EPERM" });
  assert.equal(await other.call("uname"), "waits");
  assert.equal(await pending, "EAGAIN");
  await view.remove("busy");
  assert.equal(await waiting.call("socket"), "ok");
  await Promise.all([waiting.end(), other.end()]);
});

test("calls of eight processes are answered while a module comes and goes", async () => {
  await using made = await live("churn");
  const { view } = made;
  const guests = Array.from({ length: 8 }, () => new Guest(view));
  const own = await guests[0]!.call("uname");
  const churn = new AbortController();
  const seen = new Set<string>();
  const calling = guests.map(async (guest) => {
    while (!churn.signal.aborted) seen.add(await guest.call("uname"));
  });
  for (let round = 0; round < 15; round++) {
    await view.insert(made.module(named("churned")));
    for (;;) {
      // Somebody is always calling: until nobody waits, it is in use.
      const error = await view.remove("named").catch((reason: unknown) => reason);
      if (error === undefined) break;
      assert.equal((error as { code: string }).code, "EBUSY");
    }
  }
  churn.abort();
  await Promise.all(calling);
  assert.deepEqual([...seen].sort(), ["churned", own].sort());
  await Promise.all(guests.map((guest) => guest.end()));
});

test("what a view does not trap cannot be answered later, and the refusal says how", async () => {
  const reads = `export default module("reads", { on: {
    open: { when: { path: "/no/**" }, do: (call) => call.reply("made up") },
  } });`;
  {
    await using made = await live("untrapped");
    await assert.rejects(made.view.insert(made.module(reads)), {
      code: "NOT_TRAPPED",
      message: "this view does not trap open, creat, openat, openat2",
      remedy: /--trap=path, or with the module itself/,
    });
    assert.deepEqual(await made.view.modules(), []);
  }
  await using made = await live("trapped", { trap: ["path"] });
  const guest = new Guest(made.view);
  assert.equal(await guest.call("read"), "ENOENT");
  await made.view.insert(made.module(reads));
  assert.equal(await guest.call("read"), "made up");
  await guest.end();
});

test("a module whose file fails leaves the others as they are", async () => {
  await using made = await live("stuck");
  const { view } = made;
  await view.insert(made.module(named("mars")));
  const broken = made.module("throw new Error('not today');");
  await assert.rejects(view.insert(broken), { message: /not today/ });
  const guest = new Guest(view);
  assert.equal(await guest.call("uname"), "mars");
  await guest.end();
});
