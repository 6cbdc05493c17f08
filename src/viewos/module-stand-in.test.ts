import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeKernel } from "./fake-kernel.ts";
import { module, summarize } from "./module.ts";
import { ModuleChain, type OfferedCall } from "./module-chain.ts";
import { standInFor } from "./module-stand-in.ts";

test("a stand-in wants what the real module wants, and has it decide", async () => {
  const real = module("real", {
    timeoutMs: 7,
    types: ["a", "b"],
    mount: () => ({ list: () => [], stat: () => ({}), read: () => "" }),
    description: "text",
    on: {
      open: {
        when: { write: true, path: "/etc/**" },
        do: (call) => call.fail(call.mode === 0o666 ? "EROFS" : "EIO"),
      },
      uname: (call) => call.reply({ nodename: `${call.real().nodename}+` }),
    },
  });
  const there = new ModuleChain({ log: assert.fail, running: () => {} });
  there.insert(real);
  const asked: OfferedCall[] = [];
  const standIn = standInFor(summarize(real), (call) => {
    // It must be possible to send it.
    asked.push(structuredClone(call));
    return there.answer(asked.at(-1)!);
  });
  assert.deepEqual(summarize(standIn), summarize(real));
  const kernel = new FakeKernel({ modules: [standIn], names: { nodename: "n" } });
  await kernel.write("/tmp", "not wanted");
  await assert.rejects(kernel.write("/etc/x", ""), { code: "EROFS" });
  assert.equal((await kernel.uname()).nodename, "n+");
  assert.deepEqual(
    asked.map(({ operation }) => operation),
    ["open", "uname"],
  );
});
