/**
 * What a supervisor tells its starter of the first modules: the traps that they need, or why one
 * cannot be inserted. JSON, in pieces that fit into a message.
 */
import { EXIT, V2Error } from "../../base/index.ts";
import { closeDescriptor, receiveMessage, sendMessage } from "../../sys/index.ts";
import { decodeTraps, type Trap } from "../../viewos/index.ts";
import { MESSAGE } from "../launch/launch-steps.ts";
import type { SentError } from "./module-messages.ts";

/** Octets of the text in one message. */
const PIECE_OCTETS = 4000;

/** Traps as `encodeTraps` writes them, or a refusal. */
export type ModuleReport = { readonly traps: string } | { readonly error: SentError };

/** Sends the report; an empty piece ends it. */
export function sendModuleReport(session: number, report: ModuleReport): void {
  const octets = new TextEncoder().encode(JSON.stringify(report));
  for (let at = 0; at < octets.length + PIECE_OCTETS; at += PIECE_OCTETS) {
    const piece = octets.subarray(at, at + PIECE_OCTETS);
    const message = new Uint8Array(1 + piece.length);
    message[0] = MESSAGE.modules;
    message.set(piece, 1);
    sendMessage(session, message);
    if (piece.length === 0) return;
  }
}

/**
 * Waits for the report.
 * @throws V2Error when a module was refused.
 */
export function awaitModuleReport(session: number): readonly Trap[] {
  const pieces: Uint8Array[] = [];
  for (;;) {
    const message = receiveMessage(session);
    if (message === undefined) throw new V2Error("SUPERVISOR", "the supervisor ended at its start");
    for (const descriptor of message.descriptors) closeDescriptor(descriptor);
    if (message.octets.length <= 1) break;
    pieces.push(message.octets.slice(1));
  }
  const report = JSON.parse(Buffer.concat(pieces).toString("utf8")) as ModuleReport;
  if ("traps" in report) return decodeTraps(report.traps);
  const { code, message, remedy } = report.error;
  throw new V2Error(code, message, {
    ...(remedy === undefined ? {} : { remedy }),
    exitCode: code === "NO_MODULE" ? EXIT.notFound : EXIT.failed,
  });
}
