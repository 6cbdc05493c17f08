import assert from "node:assert/strict";
import { test } from "node:test";
import { isPromptingShell, promptEnvironment } from "./view-prompt.ts";

test("a shell prompts unless it is given something to run", () => {
  for (const argv of [["bash"], ["/bin/sh", "-i"], ["bash", "-l"], ["bash", "--norc"]]) {
    assert.ok(isPromptingShell(argv), argv.join(" "));
  }
  for (const argv of [[], ["vim"], ["sh", "-c", "true"], ["bash", "-lc", "x"], ["sh", "file"]]) {
    assert.ok(!isPromptingShell(argv), argv.join(" "));
  }
});

test("the prompt shows the view behind those around it", () => {
  assert.deepEqual(promptEnvironment({}, "blue", "/bin/bash"), { debian_chroot: "blue" });
  assert.deepEqual(promptEnvironment({ debian_chroot: "red" }, "blue", "bash"), {
    debian_chroot: "red/blue",
  });
  assert.deepEqual(promptEnvironment({}, "blue", "/bin/sh"), {
    debian_chroot: "blue",
    PS1: "(blue)$ ",
  });
  assert.deepEqual(promptEnvironment({ PS1: "mine" }, "blue", "sh"), { debian_chroot: "blue" });
});
