import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { always, anyOctets, PROPERTY } from "../../test/properties.ts";
import {
  CONSOLE_LINE_MAX,
  type ConsoleEvent,
  ConsoleReader,
  emitCommand,
  ReplyGatherer,
} from "./console-client.ts";

/** A session as Debian's vde_switch sends it, with debug lines at the places they may have. */
const SESSION = [
  "VDE switch V.2.3.2\n(C) Virtual Square Team (coord. R. Davoli) 2005,2006,2007 - GPLv2\n\nvde$ ",
  "0000 DATA END WITH '.'\nctl dir /tmp/é\n\nstd mode 0600\n.\n1000 Success\n\nvde$ ",
  "3021 port/+ 03\n",
  '3023 port/descr Port 03 FD 14 -> "hello $ user=x"\n',
  "1017 File exists\n\nvde$ ",
  "\nvde$ ",
  "vde[/tmp/rc]: port/create 1\n1017 File exists\n1000 Success\n\nvde$ ",
  "9999 END OF SESSION",
].join("");

const MEANING: readonly ConsoleEvent[] = [
  { kind: "banner", line: "VDE switch V.2.3.2" },
  {
    kind: "banner",
    line: "(C) Virtual Square Team (coord. R. Davoli) 2005,2006,2007 - GPLv2",
  },
  { kind: "prompt", name: "vde" },
  { kind: "data", line: "ctl dir /tmp/é" },
  { kind: "data", line: "" },
  { kind: "data", line: "std mode 0600" },
  { kind: "dataEnd" },
  { kind: "result", errno: 0, text: "Success" },
  { kind: "prompt", name: "vde" },
  { kind: "debug", tag: 0o21, path: "port/+", text: "03" },
  { kind: "debug", tag: 0o23, path: "port/descr", text: 'Port 03 FD 14 -> "hello $ user=x"' },
  { kind: "result", errno: 17, text: "File exists" },
  { kind: "prompt", name: "vde" },
  { kind: "prompt", name: "vde" },
  { kind: "text", line: "vde[/tmp/rc]: port/create 1" },
  { kind: "result", errno: 17, text: "File exists" },
  { kind: "result", errno: 0, text: "Success" },
  { kind: "prompt", name: "vde" },
  { kind: "end" },
];

const octetsOf = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Reads octets in pieces of these lengths, then the rest. */
function read(octets: Uint8Array, lengths: readonly number[], reader = new ConsoleReader()) {
  const events: ConsoleEvent[] = [];
  let at = 0;
  for (const length of [...lengths, octets.length]) {
    events.push(...reader.push(octets.subarray(at, at + length)));
    at += length;
  }
  return events;
}

test("a session is read to banner, prompts, data, results, debug lines and its end", () => {
  assert.deepEqual(read(octetsOf(SESSION), []), MEANING);
});

test("a session means the same however its octets are cut", () => {
  const octets = octetsOf(SESSION);
  assert.deepEqual(read(octets, Array(octets.length).fill(1)), MEANING);
  always(fc.array(fc.nat(40), { maxLength: 60 }), (lengths) => {
    assert.deepEqual(read(octets, lengths), MEANING);
  });
});

test("foreign octets never throw and mean the same however they are cut", () => {
  const words = fc.constantFrom(
    "\n",
    "vde$ ",
    ".\n",
    "0000 DATA END WITH '.'\n",
    "1000 ",
    "3021 a",
  );
  const text = fc.array(fc.oneof(words.map(octetsOf), anyOctets), { maxLength: 8 });
  fc.assert(
    fc.property(text, fc.array(fc.nat(9), { maxLength: 90 }), (parts, lengths) => {
      const octets = Uint8Array.from(parts.flatMap((part) => [...part]));
      assert.deepEqual(read(octets, lengths), read(octets, []));
    }),
    PROPERTY,
  );
});

test("the lines of a data block are data, whatever they look like", () => {
  const lines = ["1000 Success", "3021 port/+ 03", "vde$ ", "9999 END OF SESSION", "..", " ."];
  const text = `a$ 0000 DATA END WITH '.'\n${lines.join("\n")}\n.\n1000 Success\n\na$ `;
  const data = read(octetsOf(text), [1, 2, 3]).filter((event) => event.kind === "data");
  assert.deepEqual(
    data.map((event) => event.line),
    lines,
  );
});

test("a line without end takes no more memory than a line may; the rest is counted", () => {
  const endless = octetsOf("x".repeat(CONSOLE_LINE_MAX + 100));
  for (const lengths of [[], [CONSOLE_LINE_MAX + 50], [5, 7]]) {
    const reader = new ConsoleReader();
    read(endless, lengths, reader);
    const [event] = reader.push(octetsOf("\n"));
    assert.deepEqual(event, { kind: "banner", line: "x".repeat(CONSOLE_LINE_MAX) });
    assert.equal(reader.cut, 100);
  }
});

test("after the end of a session nothing is read any more", () => {
  const reader = new ConsoleReader();
  reader.push(octetsOf("vde$ 9999 END OF SESSIONvde$ "));
  assert.equal(reader.isOver, true);
  assert.deepEqual(reader.push(octetsOf("1000 Success\nvde$ ")), []);
});

test("a reply holds everything between two prompts, and the last result counts", () => {
  const gatherer = new ReplyGatherer();
  const replies = read(octetsOf(SESSION), []).flatMap((event) => gatherer.take(event) ?? []);
  assert.deepEqual(
    replies.map(({ errno, data, echo }) => ({ errno, data, echo })),
    [
      { errno: undefined, data: [], echo: [] },
      { errno: 0, data: ["ctl dir /tmp/é", "", "std mode 0600"], echo: [] },
      { errno: 17, data: [], echo: [] },
      { errno: undefined, data: [], echo: [] },
      { errno: 0, data: [], echo: ["vde[/tmp/rc]: port/create 1"] },
      { errno: undefined, data: [], echo: [] },
    ],
  );
});

test("a command is one line, whatever it contains", () => {
  assert.deepEqual(emitCommand("port/print 3"), octetsOf("port/print 3\n"));
  always(fc.string({ unit: "binary" }), (command) => {
    const octets = emitCommand(command);
    assert.equal(octets.indexOf(10), octets.length - 1);
  });
});
