import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { loginCommand, splitCommand } from "./login-command.ts";

const FILE = `# who logs in to a view
  ada:-p umfuse /bin/bash -l
bob:sh -c "mount -t tmpfs none /mnt; exec bash"\t
ada:/bin/second
#eve:/bin/sh
`;

test("a login has the command of its first line; comments and others do not count", () => {
  assert.equal(loginCommand(FILE, "ada"), "-p umfuse /bin/bash -l");
  assert.equal(loginCommand(FILE, "bob"), 'sh -c "mount -t tmpfs none /mnt; exec bash"');
  for (const other of ["eve", "#eve", "ad", "a", "da"]) {
    assert.equal(loginCommand(FILE, other), undefined, other);
  }
});

test("words are split at blanks, and kept together by quotes and backslashes", () => {
  assert.deepEqual(splitCommand(""), []);
  assert.deepEqual(splitCommand("  a\tb  "), ["a", "b"]);
  assert.deepEqual(splitCommand(`sh -c "it's \\"so\\""`), ["sh", "-c", `it's "so"`]);
  assert.deepEqual(splitCommand("a'' '' b\\ c"), ["a", "", "b c"]);
  assert.equal(splitCommand("'open"), undefined);
  assert.equal(splitCommand("a\\"), undefined);
});

test("what is quoted comes back", () => {
  fc.assert(
    fc.property(fc.array(fc.string()), (words) => {
      const quoted = words.map((word) => `"${word.replaceAll(/["\\]/g, "\\$&")}"`).join(" ");
      assert.deepEqual(splitCommand(quoted), words);
    }),
  );
});
