/** `vuumount` (viewumount): umount2(2) without the checks of umount(8), for use inside a view. */
import { errnoName, errnoText, EXIT, V2Error } from "../base/index.ts";
import { umount2 } from "../sys/index.ts";
import type { Invocation } from "./command.ts";

/** MNT_FORCE and MNT_DETACH of umount2(2). */
const FLAGS = [
  ["force", 1],
  ["detach", 2],
  ["detach-loop", 2],
  ["lazy", 2],
] as const;

/** `vuumount [-f] [-d] TARGET…`; all targets are tried, the first failure is reported. */
export async function run(invocation: Invocation): Promise<number> {
  const targets = [...invocation.words, ...invocation.rest];
  if (targets.length === 0) {
    throw new V2Error("USAGE", "a mount point is needed", {
      remedy: `example: ${invocation.calledAs} /mnt`,
      exitCode: EXIT.usage,
    });
  }
  const { options } = invocation;
  const flags = FLAGS.reduce((sum, [name, flag]) => sum | (options[name] === true ? flag : 0), 0);
  const failures = targets.flatMap((target) => {
    const failure = umount2(new TextEncoder().encode(target), flags);
    return failure === 0 ? [] : [{ target, failure }];
  });
  const [first] = failures;
  if (first === undefined) return EXIT.ok;
  throw new V2Error(errnoName(first.failure), `${first.target}: ${errnoText(first.failure)}`);
}
