// runs as: root
// (the limit counts all processes of a user, so it takes a user whom nobody else uses)
import assert from "node:assert/strict";
import { test } from "node:test";
import { ordinaryUser } from "./as-user.ts";

const UID = 64_321;

test("with few processes left a view is refused in a clear line, with more it works", async () => {
  using user = ordinaryUser(UID);
  const script = "mount -t tmpfs none /mnt && echo mounted";
  const limited = (processes: number) => {
    const view = [...user.v2, "view", "--", "sh", "-c", script];
    return user.run(["prlimit", `--nproc=${processes}`, ...view]);
  };
  // Node itself takes some ten threads.
  for (const processes of [14, 18, 22]) {
    const refused = await limited(processes);
    assert.equal(refused.code, 69, refused.stderr);
    assert.match(refused.stderr, /^v2: you may start \d+ more processes only\n.*ulimit -u/);
  }
  const started = await limited(60);
  assert.deepEqual([started.stdout, started.code], ["mounted\n", 0], started.stderr);
});
