// runs as: root
// (only root can make a set-user-id program of root; the views are an ordinary user's)
import assert from "node:assert/strict";
import { chmodSync, copyFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ordinaryUser, type OrdinaryUser } from "./as-user.ts";
import { compileText, missingProgram, type Outcome } from "./v2.ts";

const UID = 64_322;

/** As `v2 view`, by an ordinary user. */
function viewOf(user: OrdinaryUser, options: readonly string[], script: string): Promise<Outcome> {
  return user.run([...user.v2, "view", ...options, "--", "sh", "-c", script]);
}

/** What an old mount(8) does: it asks who it is before it asks the kernel. */
const OLD_MOUNT = `
  #include <stdio.h>
  #include <sys/mount.h>
  #include <unistd.h>
  int main(void) {
    if (getuid() != 0 || geteuid() != 0) return puts("must be superuser"), 1;
    if (mount("none", "/mnt", "tmpfs", 0, NULL)) return perror("mount"), 2;
    return puts("mounted"), 0;
  }`;

const noCompiler = missingProgram("gcc", "gcc");

test("a set-user-id program that insists on root mounts in a view of an ordinary user", {
  skip: noCompiler,
}, async () => {
  using user = ordinaryUser(UID);
  const [setuid, plain] = [join(user.path, "old-mount"), join(user.path, "plain")];
  compileText(OLD_MOUNT, setuid);
  copyFileSync(setuid, plain);
  chmodSync(setuid, 0o4755);
  chmodSync(plain, 0o755);
  const script = `${setuid}; grep -c ' /mnt tmpfs ' /proc/self/mounts; umount /mnt; ${plain}; id -u`;
  const told = await viewOf(user, ["--setuid-root"], script);
  assert.equal(told.stdout, `mounted\n1\nmust be superuser\n${UID}\n`, told.stderr);
  const untold = await viewOf(user, [], setuid);
  assert.equal(untold.stdout, "must be superuser\n");
});

test("being told that it is root gives a program no right", { skip: noCompiler }, async () => {
  using user = ordinaryUser(UID);
  const program = compileText(
    `#include <stdio.h>
     #include <fcntl.h>
     #include <unistd.h>
     int main(void) {
       printf("%d %d %d\\n", geteuid(), open("/etc/shadow", O_RDONLY), setuid(0));
       return 0;
     }`,
    join(user.path, "try"),
  );
  chmodSync(program, 0o4755);
  const outcome = await viewOf(user, ["--setuid-root"], program);
  assert.equal(outcome.stdout, "0 -1 -1\n");
});
