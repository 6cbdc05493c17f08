import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  CONTROL_LINE_OCTETS_MAX,
  controlLine,
  ControlLines,
  type ControlReply,
  parseReply,
  parseRequest,
} from "./control.ts";

const octets = (text: string): Uint8Array => new TextEncoder().encode(text);

test("a request comes back from its line", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1 }),
      fc.string({ minLength: 1, maxLength: 64 }),
      fc.dictionary(fc.string(), fc.jsonValue(), { noNullPrototype: true }),
      (id, op, args) => {
        const line = controlLine({ id, op, args });
        assert.equal(line.indexOf("\n"), line.length - 1);
        const read = parseRequest(line.trimEnd());
        assert.ok("request" in read);
        assert.equal(JSON.stringify(read.request), line.trimEnd());
      },
    ),
  );
});

test("a line that is no request is refused with its id when that can be read", () => {
  const refused = (line: string) => {
    const read = parseRequest(line);
    assert.ok("refusal" in read, line);
    return [read.refusal.id, read.refusal.error.code];
  };
  for (const line of ["", "{", "[]", "null", "7", '"text"', "{}", '{"id":0,"op":"x"}']) {
    assert.deepEqual(refused(line), [0, "REQUEST"]);
  }
  assert.deepEqual(refused('{"id":1.5,"op":"x"}'), [0, "REQUEST"]);
  assert.deepEqual(refused('{"id":"1","op":"x"}'), [0, "REQUEST"]);
  assert.deepEqual(refused('{"id":4}'), [4, "REQUEST"]);
  assert.deepEqual(refused('{"id":4,"op":""}'), [4, "REQUEST"]);
  assert.deepEqual(refused(`{"id":4,"op":"${"x".repeat(65)}"}`), [4, "REQUEST"]);
  assert.deepEqual(refused('{"id":4,"op":"x","args":[1]}'), [4, "REQUEST"]);
  assert.deepEqual(refused('{"id":4,"op":"x","args":null}'), [4, "REQUEST"]);
});

test("a request needs no arguments and may have fields of a later release", () => {
  assert.deepEqual(parseRequest('{"id":1,"op":"uname","later":true}'), {
    request: { id: 1, op: "uname", args: {} },
  });
});

test("replies come back from their lines, and nothing else is one", () => {
  const replies: readonly ControlReply[] = [
    { id: 1, ok: true, value: { a: [1, null] } },
    { id: 2, ok: true, value: null },
    { id: 3, ok: false, error: { code: "EBUSY", message: "in use" } },
    { id: 0, ok: false, error: { code: "BUSY", message: "full", remedy: "wait" } },
  ];
  for (const reply of replies) assert.deepEqual(parseReply(controlLine(reply)), reply);
  for (const line of [
    "",
    "{}",
    '{"id":-1,"ok":true}',
    '{"id":1,"ok":"yes"}',
    '{"id":1,"ok":false}',
    '{"id":1,"ok":false,"error":{"code":"X"}}',
    '{"id":1,"ok":false,"error":{"code":"X","message":"m","remedy":7}}',
  ]) {
    assert.equal(parseReply(line), undefined, line);
  }
});

test("lines are the same however the stream is cut", () => {
  fc.assert(
    fc.property(
      fc.array(fc.string().map((text) => text.replaceAll("\n", " "))),
      fc.integer({ min: 1, max: 20 }),
      (texts, step) => {
        const stream = octets(texts.map((text) => `${text}\n`).join(""));
        const lines = new ControlLines();
        const read: string[] = [];
        for (let at = 0; at < stream.length; at += step) {
          read.push(...lines.push(stream.subarray(at, at + step)));
        }
        assert.deepEqual(read, texts);
        assert.equal(lines.isTooLong, false);
      },
    ),
  );
});

test("a line may be as long as the limit and no longer", () => {
  const longest = new ControlLines();
  assert.equal(longest.push(octets(`${"x".repeat(CONTROL_LINE_OCTETS_MAX)}\nnext\n`)).length, 2);
  assert.equal(longest.isTooLong, false);
  const over = new ControlLines();
  assert.deepEqual(over.push(octets("fine\n")), ["fine"]);
  assert.deepEqual(over.push(octets("x".repeat(CONTROL_LINE_OCTETS_MAX))), []);
  assert.equal(over.isTooLong, false);
  assert.deepEqual(over.push(octets("x\nafter\n")), []);
  assert.equal(over.isTooLong, true);
  assert.deepEqual(over.push(octets("more\n")), []);
});
