/** What a supervisor does about a launcher that failed. */
import { writeSync } from "node:fs";
import { ERRNO, errnoText, EXIT } from "../base/index.ts";
import { closeDescriptor, sendMessage, type SessionMessage } from "../sys/index.ts";
import { MESSAGE, MESSAGE_HEADER_OCTETS } from "./launch-steps.ts";

/** ENOSPC of unshare(2) has nothing to do with disks. */
const LIMIT_HINT =
  "\n    a limit of namespaces is reached; 'v2 doctor' tells which, and how to lift it";

/** A launcher failed: say why on its standard error and tell it its exit code. */
export function explainFailure(session: number, message: SessionMessage, errno: number): void {
  const label = new TextDecoder().decode(message.octets.subarray(MESSAGE_HEADER_OCTETS));
  const [standardError] = message.descriptors;
  if (standardError !== undefined) {
    try {
      // Without an errno the reason has been told before (the network).
      const hint = errno === ERRNO.ENOSPC && /namespaces?$/.test(label) ? LIMIT_HINT : "";
      if (errno !== 0) writeSync(standardError, `v2 view: ${label}: ${errnoText(errno)}${hint}\n`);
    } catch {
      // Nobody reads the launcher's standard error: the exit code still tells.
    }
    closeDescriptor(standardError);
  }
  // 127 is about the command alone: a mount on a directory that is missing is a 126.
  const isMissing = message.octets[0] === MESSAGE.notExecuted && errno === ERRNO.ENOENT;
  const code = isMissing ? EXIT.commandNotFound : EXIT.cannotExecute;
  const answer = new Uint8Array(4);
  new DataView(answer.buffer).setInt32(0, code, true);
  sendMessage(session, answer);
}
