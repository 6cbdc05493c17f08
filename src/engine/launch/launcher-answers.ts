/** What a supervisor answers to a launcher that waits for it or has failed. */
import { writeSync } from "node:fs";
import { ERRNO, errnoText, EXIT } from "../../base/index.ts";
import { closeDescriptor, sendMessage, type SessionMessage } from "../../sys/index.ts";
import { MESSAGE, textOf } from "./launch-steps.ts";
import type { ViewNet } from "./view-net.ts";

/** A launcher that waits on its session for cables in its network namespace. */
export interface WaitingLauncher {
  readonly session: number;
  readonly pid: number;
  readonly standardError: number | undefined;
}

/** ENOSPC of unshare(2) has nothing to do with disks. */
const LIMIT_HINT =
  "\n    a limit of namespaces is reached; 'v2 doctor' tells which, and how to lift it";

/**
 * The kernel lets the map be opened by the view right around only; the supervisor is further out.
 */
const MAP_HINT =
  "\n    views nest two deep where opens are answered: --trap, --deny, modules that want open";

/** Says something where a launcher, or whoever started a view, speaks. */
export function sayTo(descriptor: number, text: string): void {
  try {
    writeSync(descriptor, text);
  } catch {
    // Nobody reads it any more: the exit code still tells.
  }
}

/**
 * Plugs the cables that a launcher waits for, and lets it go on. An empty answer tells it that its
 * network failed; the reason goes where it speaks.
 * @param keep is given what unplugs them, before the launcher goes on
 * @param onFailure is told the reason, before the launcher is
 */
export async function answerNetwork(
  { session, pid, standardError }: WaitingLauncher,
  nets: readonly ViewNet[],
  keep: (unplug: () => void) => void,
  onFailure?: (message: string) => void,
): Promise<void> {
  let answer = Uint8Array.of(1);
  try {
    const { plugCables } = await import("./cables.ts");
    keep(await plugCables(pid, nets));
  } catch (error) {
    answer = new Uint8Array(0);
    const { message } = error as Error;
    onFailure?.(message);
    if (standardError !== undefined) sayTo(standardError, `v2 view: ${message}\n`);
  }
  if (standardError !== undefined) closeDescriptor(standardError);
  sendMessage(session, answer);
}

/** A launcher failed: say why on its standard error and tell it its exit code. */
export function explainFailure(session: number, message: SessionMessage, errno: number): void {
  const label = textOf(message);
  const [standardError] = message.descriptors;
  if (standardError !== undefined) {
    const isMap = label === "the user map";
    const isLimit = errno === ERRNO.ENOSPC && /namespaces?$/.test(label);
    const hint = isLimit ? LIMIT_HINT : isMap ? MAP_HINT : "";
    const reason = errnoText(isMap && errno === 0 ? ERRNO.EPERM : errno);
    // Without an errno the reason has been told before (the network).
    if (errno !== 0 || isMap) sayTo(standardError, `v2 view: ${label}: ${reason}${hint}\n`);
    closeDescriptor(standardError);
  }
  // 127 is about the command alone: a mount on a directory that is missing is a 126.
  const isMissing = message.octets[0] === MESSAGE.notExecuted && errno === ERRNO.ENOENT;
  const code = isMissing ? EXIT.commandNotFound : EXIT.cannotExecute;
  const answer = new Uint8Array(4);
  new DataView(answer.buffer).setInt32(0, code, true);
  sendMessage(session, answer);
}
