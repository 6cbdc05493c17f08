import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { CommandSpec } from "./command.ts";
import { type Parsed, parseWords, type UsageProblem } from "./parse.ts";

const SWITCH: CommandSpec = {
  name: "switch",
  summary: "a switch",
  usage: "",
  options: {
    sock: { type: "string", short: "s", value: "DIR", help: "" },
    mgmt: { type: "string", short: "M", help: "" },
    mgmtmode: { type: "string", help: "" },
    tap: { type: "string", short: "t", multiple: true, help: "" },
    hub: { type: "boolean", short: "x", help: "" },
    daemon: { type: "boolean", short: "d", help: "" },
    dhcp: { type: "string", short: "D", optionalValue: true, help: "" },
  },
  examples: [],
  load: () => Promise.reject(new Error("not loaded here")),
};
const VIEW: CommandSpec = { ...SWITCH, name: "view", stopAtFirstWord: true };

function good(result: Parsed | UsageProblem): Parsed {
  assert.ok(!("problem" in result), `refused: ${JSON.stringify(result)}`);
  return result;
}

function bad(result: Parsed | UsageProblem): UsageProblem {
  assert.ok("problem" in result, "accepted");
  return result;
}

test("a long option takes its value from the next word or after the equals sign", () => {
  assert.deepEqual(good(parseWords(SWITCH, ["--sock", "/a"])).options, { sock: "/a" });
  assert.deepEqual(good(parseWords(SWITCH, ["--sock=/a=b"])).options, { sock: "/a=b" });
  assert.deepEqual(good(parseWords(SWITCH, ["--sock", "-"])).options, { sock: "-" });
});

test("a long option may be written with one dash, as the historical commands allow", () => {
  assert.deepEqual(good(parseWords(SWITCH, ["-sock", "/a", "-tap", "t0"])).options, {
    sock: "/a",
    tap: ["t0"],
  });
  assert.deepEqual(good(parseWords(SWITCH, ["-mgmt=/m"])).options, { mgmt: "/m" });
});

test("an unambiguous beginning of a long name is enough", () => {
  assert.deepEqual(good(parseWords(SWITCH, ["--daem"])).options, { daemon: true });
  assert.equal(bad(parseWords(SWITCH, ["--d"])).problem, "option '--d' is ambiguous");
});

test("a whole name wins over a longer name that begins with it", () => {
  assert.deepEqual(good(parseWords(SWITCH, ["--mgmt", "x"])).options, { mgmt: "x" });
});

test("short options group, and one with a value takes what is attached or the next word", () => {
  assert.deepEqual(good(parseWords(SWITCH, ["-xd"])).options, { hub: true, daemon: true });
  assert.deepEqual(good(parseWords(SWITCH, ["-xs/tmp"])).options, { hub: true, sock: "/tmp" });
  assert.deepEqual(good(parseWords(SWITCH, ["-xs", "/tmp"])).options, { hub: true, sock: "/tmp" });
});

test("an option given several times is a list only where the command says so", () => {
  assert.deepEqual(good(parseWords(SWITCH, ["-t", "a", "-t", "b"])).options, { tap: ["a", "b"] });
  assert.deepEqual(good(parseWords(SWITCH, ["-s", "a", "-s", "b"])).options, { sock: "b" });
});

test("an optional value must be attached", () => {
  const parsed = good(parseWords(SWITCH, ["--dhcp", "word", "-D10.0.2.15"]));
  assert.deepEqual(parsed.options, { dhcp: "10.0.2.15" });
  assert.deepEqual(parsed.words, ["word"]);
  assert.deepEqual(good(parseWords(SWITCH, ["-D"])).options, { dhcp: "" });
});

test("options may stand after words, and nothing is an option after two dashes", () => {
  const parsed = good(parseWords(SWITCH, ["a", "-x", "b", "--", "-d", "c"]));
  assert.deepEqual(parsed.options, { hub: true });
  assert.deepEqual(parsed.words, ["a", "b"]);
  assert.deepEqual(parsed.rest, ["-d", "c"]);
});

test("a command that runs a command hands on everything from the first word untouched", () => {
  const parsed = good(parseWords(VIEW, ["-x", "ls", "-x", "--", "--help"]));
  assert.deepEqual(parsed.options, { hub: true });
  assert.deepEqual(parsed.words, []);
  assert.deepEqual(parsed.rest, ["ls", "-x", "--", "--help"]);
  assert.deepEqual(good(parseWords(VIEW, ["--", "-x"])).rest, ["-x"]);
});

test("what is wrong is named, with the option that was probably meant", () => {
  const unknown = bad(parseWords(SWITCH, ["--sokc", "/a"]));
  assert.equal(unknown.problem, "unknown option '--sokc'");
  assert.equal(unknown.hint, "did you mean '--sock'?");
  assert.equal(bad(parseWords(SWITCH, ["-xq"])).problem, "unknown option '-q'");
  assert.equal(bad(parseWords(SWITCH, ["--hub=1"])).problem, "option '--hub' takes no value");
  assert.equal(bad(parseWords(SWITCH, ["--sock"])).problem, "option '--sock' needs a value: DIR");
});

test("help is asked for by --help or -h, and what follows it is not judged", () => {
  assert.equal(good(parseWords(SWITCH, ["--help", "--nonsense"])).help, true);
  assert.equal(good(parseWords(SWITCH, ["-h"])).help, true);
  assert.equal(good(parseWords(VIEW, ["ls", "--help"])).help, false);
});

test("any words are either refused or fully accounted for, and never throw", () => {
  const word = fc.oneof(
    fc.constantFrom("-", "--", "--sock", "-s", "-xd", "--dhcp", "-D", "--=", "-=", "--hub", "a"),
    fc.string({ maxLength: 8 }),
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 8 }), fc.boolean(), (words, stops) => {
      const result = parseWords(stops ? VIEW : SWITCH, words);
      if ("problem" in result) return result.problem !== "";
      // The rest is always the untouched end of the line.
      return (
        result.rest.every((w, i) => w === words[words.length - result.rest.length + i]) &&
        result.words.every((w) => words.includes(w)) &&
        (!stops || result.words.length === 0)
      );
    }),
    { seed: 1, numRuns: 2000 },
  );
});
