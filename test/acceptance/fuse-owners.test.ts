// runs as: root
import assert from "node:assert/strict";
import { test } from "node:test";
import { inMount } from "./fuse-support.ts";

test("files belong to whoever makes them, and permissions are the caller's", async () => {
  const as = "setpriv --reuid 12345 --regid 12345 --clear-groups";
  const script = `
    chmod 1777 . ../back && ${as} sh -c 'umask 022; touch f; mkdir d; ln -s f l'
    stat -c '%u %g %a' ../back/f ../back/d && stat -c %u ../back/l
    echo secret >s && chmod 600 s && ${as} cat s 2>/dev/null || echo denied
    mkdir g && chgrp 777 g && chmod 2777 g && ${as} touch g/f && stat -c %g ../back/g/f`;
  const { code, stdout, stderr } = await inMount({ module: "real", shell: script });
  const lines = ["12345 12345 644", "12345 12345 755", "12345", "denied", "777", ""];
  assert.deepEqual([stderr, code, stdout.split("\n")], ["", 0, lines]);
});
