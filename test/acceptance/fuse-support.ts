/**
 * Running `fuse-host` where it may mount: as root in a mount namespace, else in a user namespace
 * too.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { HostTask } from "./fuse-host.ts";
import { type Outcome, runProgram } from "./v2.ts";

const HOST = fileURLToPath(new URL("./fuse-host.js", import.meta.url));

/** Mounts as in `task`, on a tmpfs of its own; all is gone afterwards. */
export async function inMount(
  task: Omit<HostTask, "folder">,
  timeoutMs = 60_000,
): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), "v2-fuse-"));
  const namespaces = process.getuid!() === 0 ? ["-m"] : ["-Urm"];
  const script = 'mount -t tmpfs tmpfs "$1" && exec "$2" "$3" "$4"';
  const whole: HostTask = { ...task, folder };
  const words = ["sh", folder, process.execPath, HOST, JSON.stringify(whole)];
  try {
    return await runProgram(["unshare", ...namespaces, "sh", "-c", script, ...words], {
      timeoutMs,
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A module file of these tests. */
export function testModule(name: string): string {
  return fileURLToPath(new URL(`./${name}.js`, import.meta.url));
}
