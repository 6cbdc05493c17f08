/** What a supervisor reads from its guests. Streams are cut where the input chooses. */
import assert from "node:assert/strict";
import { controlLine, ControlLines, parseReply, parseRequest } from "../src/viewos/index.ts";
import type { FuzzTarget } from "./target.ts";

const SEEDS = [
  '{"id":1,"op":"uname","args":{}}\n{"id":2,"op":"viewname","args":{"name":"blue"}}\n',
  '{"id":1,"ok":true,"value":{"server":4711,"view":1}}\n',
  '{"id":3,"ok":false,"error":{"code":"EBUSY","message":"in use","remedy":"wait"}}\n',
];

function linesOf(pieces: readonly Uint8Array[]): string[] {
  const lines = new ControlLines();
  return pieces.flatMap((piece) => lines.push(piece));
}

/** Parsers of src/viewos. */
export const VIEWOS_TARGETS: readonly FuzzTarget[] = [
  {
    name: "viewos-control",
    seeds: () => SEEDS.map((text) => new TextEncoder().encode(text)),
    run(octets) {
      const at = octets.length === 0 ? 0 : octets[0]! % octets.length;
      const whole = linesOf([octets]);
      assert.deepEqual(linesOf([octets.subarray(0, at), octets.subarray(at)]), whole);
      for (const line of whole) {
        const read = parseRequest(line);
        if ("request" in read) {
          const again = parseRequest(controlLine(read.request).trimEnd());
          assert.deepEqual(again, read);
        } else assert.ok(parseReply(controlLine(read.refusal)) !== undefined);
        const reply = parseReply(line);
        if (reply !== undefined) assert.deepEqual(parseReply(controlLine(reply)), reply);
      }
    },
  },
];
