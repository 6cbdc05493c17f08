/** Plugins in a real switch: frames, commands, events, mistakes. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ERRNO, FramePool } from "../base/index.ts";
import { ConsoleSession } from "../vde/index.ts";
import { receiveOne, sendOne } from "./conformance.ts";
import { SwitchPlugins } from "./switch-plugins.ts";
import { openVdeAsync } from "./vde-end.ts";
import { VdeServer } from "./vde-server.ts";

interface Bench {
  readonly server: VdeServer;
  readonly place: string;
  /** Writes a plugin into the user's folder. */
  readonly write: (name: string, text: string) => void;
  /** Runs a command; its reply. */
  readonly ask: (line: string) => Promise<string>;
  /** Sends `frame` from one cable to another, and waits until plugins saw it. */
  readonly carry: (frame: Uint8Array) => Promise<void>;
  readonly log: string[];
}

async function withSwitch(body: (bench: Bench) => Promise<void>): Promise<void> {
  const place = mkdtempSync(join(tmpdir(), "v2-plugins-"));
  const pluginFolder = join(place, "plugins");
  mkdirSync(pluginFolder);
  const log: string[] = [];
  const directory = join(place, "lan");
  const server = await VdeServer.start({ directory, pluginFolder, log: (line) => log.push(line) });
  let heard = "";
  const session = new ConsoleSession({
    management: server.management,
    send: (text) => {
      heard += text;
    },
  });
  const [a, b] = [await openVdeAsync({ directory }), await openVdeAsync({ directory })];
  const pool = new FramePool(2);
  try {
    await body({
      server,
      place,
      log,
      write: (name, text) => writeFileSync(join(pluginFolder, name), text),
      ask: async (line) => {
        await session.execute(line);
        const text = heard;
        heard = "";
        return text;
      },
      carry: async (frame) => {
        sendOne(pool, a, frame);
        receiveOne(pool, b);
        await server.management.ports();
      },
    });
  } finally {
    a.close();
    b.close();
    await server.close();
    rmSync(place, { recursive: true, force: true });
  }
}

const FRAME = new Uint8Array(100).fill(255, 0, 6).fill(2, 6, 12);

const COUNTER = `export default (host) => {
  const seen = [];
  return {
    name: "count", help: "counts",
    commands: [
      { path: "count", help: "MENU" },
      { path: "count/print", help: "what came", hasData: true,
        run: (text, print) => { for (const line of seen) print(line + text); } },
      { path: "count/watch", help: "on or off", run: (text) => host.watchFrames(text === "1") },
    ],
    categories: [{ path: "count/one", tag: 0o711, help: "a frame" }],
    frame: ({ direction, port, vlan, octets }) => {
      seen.push([direction, port, vlan, octets.length].join(" "));
      host.tell("count/one", "by " + host.port(port).user);
    },
  };
};`;

test("a plugin of the user's folder sees frames in and out, prints and tells", async () => {
  await withSwitch(async ({ ask, carry, write }) => {
    write("count.mjs", COUNTER);
    assert.equal(await ask("plugin/add count"), "1000 Success\n");
    assert.match(await ask("help count"), /\ncount {14}============    MENU\ncount\/print /);
    await ask("debug/add count");
    await carry(FRAME);
    const events = await ask("");
    assert.match(events, /^(3711 count\/one by \S+\n){2}$/);
    const reply = "0000 DATA END WITH '.'\nin 1 0 100!\nout 2 0 100!\n.\n1000 Success\n";
    assert.equal(await ask("count/print !"), reply);
  });
});

test("frames are not copied while no plugin wants them", async () => {
  await withSwitch(async ({ ask, carry, write }) => {
    write("count.js", COUNTER.replace("export default", "module.exports ="));
    await ask("plugin/add count");
    await ask("count/watch 0");
    await carry(FRAME);
    assert.equal(await ask("count/print"), "0000 DATA END WITH '.'\n.\n1000 Success\n");
    await ask("count/watch 1");
    await carry(FRAME);
    assert.match(await ask("count/print"), /in 1 0 100/);
  });
});

test("a plugin is loaded once, by whatever name, and unloaded by its first letters", async () => {
  await withSwitch(async ({ ask, place, write }) => {
    write("count.mjs", COUNTER);
    await ask("plugin/add count");
    assert.equal(await ask("plugin/add count.mjs"), "1017 File exists\n");
    assert.equal(await ask(`plugin/add ${place}/plugins/count`), "1017 File exists\n");
    write("twin.mjs", COUNTER);
    assert.equal(await ask("plugin/add twin"), "1017 File exists\n");
    assert.equal(await ask("plugin/del c"), "1000 Success\n");
    assert.equal(await ask("count/print"), "1038 Function not implemented\n");
    assert.equal(await ask("plugin/add twin"), "1000 Success\n");
  });
});

test("a category is off again when its plugin is loaded again, by another session too", async () => {
  await withSwitch(async ({ ask, server, write }) => {
    write("count.mjs", COUNTER);
    await ask("plugin/add count");
    await ask("debug/add count");
    assert.match(await ask("debug/list count"), /count\/one +711 ON/);
    await server.management.plugins.remove("count");
    await server.management.plugins.add("count");
    assert.match(await ask("debug/list count"), /count\/one +711 OFF/);
  });
});

test("a plugin in TypeScript is loaded by a Node that strips types, others refuse it", async () => {
  await withSwitch(async ({ ask, log, write }) => {
    const text = 'const name: string = "typed";\nexport default { name, help: "", commands: [] };';
    write("typed.ts", text);
    const stripsTypes = "typescript" in process.features && process.features.typescript !== false;
    const reply = await ask("plugin/add typed");
    assert.equal(reply, stripsTypes ? "1000 Success\n" : "1022 Invalid argument\n");
    assert.equal(log.length, stripsTypes ? 0 : 1);
  });
});

test("a file that was changed is loaded anew", async () => {
  await withSwitch(async ({ ask, write }) => {
    const plugin = (help: string): string =>
      `export default { name: "x", help: "${help}", commands: [] };`;
    write("x.mjs", plugin("old"));
    await ask("plugin/add x");
    assert.match(await ask("plugin/list"), /\nx {22}old\n/);
    await ask("plugin/del x");
    // Times of files may be coarse.
    while (!(await ask("plugin/list")).includes("\nx                      new\n")) {
      await ask("plugin/del x");
      write("x.mjs", plugin("new"));
      await ask("plugin/add x");
    }
  });
});

test("whatever a plugin throws, the switch carries frames and says what failed", async () => {
  await withSwitch(async ({ ask, carry, log, server, write }) => {
    write(
      "bad.mjs",
      `export default { name: "bad", help: "", frame: () => { throw new Error("in frame"); },
        close: async () => { throw new Error("in close"); },
        commands: [{ path: "bad/run", help: "", run: () => { throw "in run"; } },
          { path: "bad/dots", help: "", hasData: true, run: (_, print) => print("a\\n.\\n7") },
          { path: "bad/code", help: "", run: async () => "three" }] };`,
    );
    await ask("plugin/add bad");
    await carry(FRAME);
    await carry(FRAME);
    assert.equal(await ask("bad/run"), "1005 Input/output error\n");
    assert.equal(await ask("bad/code"), "1005 Input/output error\n");
    assert.match(await ask("bad/dots"), /\na\n\. \n7\n\.\n1000 Success\n$/);
    assert.deepEqual(log, ["plugin 'bad' failed: in frame"], "the first failure only");
    assert.equal(server.management.plugins.counters().failures, 5);
    assert.match(await ask("metrics"), /^vde_plugin_failures_total 5$/m);
    assert.equal(await ask("plugin/del bad"), "1000 Success\n");
    await carry(FRAME);
  });
});

test("a file that is no plugin is refused with EINVAL and a line in the log", async () => {
  const files = {
    "syntax.mjs": "export default {",
    "throws.mjs": "throw new Error('at once');",
    "nothing.mjs": "export const x = 1;",
    "name.mjs": "export default { help: '', commands: [] };",
    "lines.mjs": "export default { name: 'a\\nb', help: '', commands: [] };",
    "commands.mjs": "export default { name: 'a', help: '' };",
    "path.mjs": "export default { name: 'a', help: '', commands: [{ help: '' }] };",
    "null.mjs": "export default { name: 'a', help: '', commands: [null] };",
    "tag.mjs": "export default { name: 'a', help: '', commands: [], categories: [{ path: 'a' }] };",
    "maker.mjs": "export default async () => undefined;",
  };
  await withSwitch(async ({ log, server, write }) => {
    for (const [name, text] of Object.entries(files)) {
      write(name, text);
      assert.equal(await server.management.plugins.add(name), ERRNO.EINVAL, name);
    }
    assert.equal(log.length, Object.keys(files).length);
    assert.deepEqual(server.management.plugins.list(), []);
  });
});

test("an event of another's category is the plugin's mistake", async () => {
  await withSwitch(async ({ ask, carry, log, write }) => {
    write("forger.mjs", COUNTER.replace('tell("count/one"', 'tell("port/+"'));
    await ask("plugin/add forger");
    await ask("debug/add port");
    await carry(FRAME);
    assert.deepEqual(log, ["plugin 'count' failed: 'port/+' is no category of the plugin"]);
    assert.equal(await ask(""), "");
  });
});

test("copies that a plugin is too slow for are dropped and counted, frames are not", async () => {
  await withSwitch(async ({ ask, server, write }) => {
    write("count.mjs", COUNTER);
    await ask("plugin/add count");
    const { directory } = server;
    const [a, b] = [await openVdeAsync({ directory }), await openVdeAsync({ directory })];
    const pool = new FramePool(2);
    const jumbo = new Uint8Array(9000).fill(255, 0, 6).fill(2, 6, 12);
    // The event loop has no turn meanwhile: 8 MiB hold some 460 of them, in and out.
    for (let i = 0; i < 600; i++) {
      sendOne(pool, a, jumbo);
      receiveOne(pool, b);
    }
    await server.management.ports();
    assert.ok(server.management.plugins.counters().framesDropped > 0);
    a.close();
    b.close();
  });
});

/** Plugins without a switch. */
function plugins(folder: string, patienceMs: number, log: string[]): SwitchPlugins {
  return new SwitchPlugins({
    folder,
    patienceMs,
    management: () => assert.fail("nobody asks for it"),
    watch: async () => undefined,
    port: () => ({ user: undefined, description: "" }),
    untaggedVlan: () => 0,
    tell: () => undefined,
    isHeard: () => false,
    log: (line) => log.push(line),
  });
}

test("a plugin that takes for ever to start or to end holds nobody up", async () => {
  const folder = mkdtempSync(join(tmpdir(), "v2-plugins-"));
  writeFileSync(join(folder, "slow.mjs"), "export default () => new Promise(() => undefined);");
  const text = `export default { name: "sticky", help: "", commands: [],
    close: () => new Promise(() => undefined) };`;
  writeFileSync(join(folder, "sticky.mjs"), text);
  const log: string[] = [];
  const own = plugins(folder, 1, log);
  assert.equal(await own.add("slow"), ERRNO.EINVAL);
  const patient = plugins(folder, 100, log);
  assert.equal(await patient.add("sticky"), 0);
  await patient.close();
  assert.deepEqual(patient.list(), []);
  assert.match(log[1]!, /^plugin 'sticky' failed: it took more than 100 ms to end$/);
  rmSync(folder, { recursive: true });
});
