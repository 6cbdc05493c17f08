import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { always } from "../../test/properties.ts";
import { CommandMachine, type CommandProgram, parseCommandProgram } from "./command-machine.ts";

/** Asks for the command, copies the data block, ends with the errno. */
const PROGRAM = String.raw`
# a comment
TIMEOUT 2500
10 IN '$ ' 90
20 SEND '$*\n'
25 THROW
30 IN '\n' 90
40 IF '0000 DATA END WITH \'.\'' 60
50 IF '1' 80
55 GOTO 90
60 THROW
62 IN '\n' 90
64 IF '.\n' 25
66 COPY
68 GOTO 60
80 SKIP 1
82 RVATOI
84 EXITRV
90 EXIT -1
`;

function programOf(text: string): CommandProgram {
  const program = parseCommandProgram(text);
  assert.ok(!("problem" in program), JSON.stringify(program));
  return program;
}

/** Runs a program against a switch that says this, piece by piece, then nothing more. */
function play(text: string, command: readonly string[], pieces: readonly string[]) {
  const machine = new CommandMachine(programOf(text), command);
  const left = [...pieces];
  const seen = { sent: "", output: "" };
  for (;;) {
    const step = machine.step();
    if (step.kind === "send") seen.sent += step.text;
    else if (step.kind === "output") seen.output += step.text;
    else if (step.kind !== "wait") return { ...seen, end: step };
    else if (left.length === 0) machine.giveUp();
    else machine.push(left.shift()!);
  }
}

test("a program sends the command, copies the data and ends with the errno", () => {
  const said = "hello\n\nvde$ 0000 DATA END WITH '.'\na\n\nb\n.\n1019 No such device\n\nvde$ ";
  const wanted = {
    sent: "hash/find x\n",
    output: "a\n\nb\n",
    end: { kind: "exit", code: 19 },
  };
  assert.deepEqual(play(PROGRAM, ["hash/find", "x"], [said]), wanted);
  assert.deepEqual(play(PROGRAM, ["hash/find", "x"], said.split("")), wanted);
});

test("a text that does not come in time leads the other way", () => {
  assert.deepEqual(play(PROGRAM, ["x"], ["hello"]).end, { kind: "exit", code: 255 });
  assert.equal(programOf(PROGRAM).timeoutMs, 2500);
});

test("texts are skipped by number and by text, numbers read in other bases", () => {
  const program = "1 IN '\\n' 9\n2 SKIP 'x='\n3 SKIP 1\n4 RVATOI 8\n5 EXITRV\n9 EXIT 1\n";
  assert.deepEqual(play(program, [], ["a x=_17\n"]).end, { kind: "exit", code: 15 });
});

test("the words of the command are put in one by one", () => {
  const program = "1 SEND '$2/$1/$3.'\n2 EXIT 0\n";
  assert.equal(play(program, ["a", "b"], []).sent, "b/a/.");
});

test("EXITATOI ends with the number at the begin", () => {
  const program = "1 IN '\\n' 9\n2 EXITATOI\n9 EXIT 1\n";
  assert.deepEqual(play(program, [], ["17 File exists\n"]).end, { kind: "exit", code: 17 });
});

test("a mistake in a program is told with its line", () => {
  for (const [text, problem] of [
    ["1 IN '$ ' 2\nfoo", { line: 2, problem: "'foo' is no instruction" }],
    ["\n\n1 JUMP 3", { line: 3, problem: "unknown instruction 'JUMP'" }],
    ["1 GOTO", { line: 1, problem: "GOTO: wrong arguments" }],
    ["1 SEND hello", { line: 1, problem: "SEND: a text stands between '…', a number alone" }],
  ] as const) {
    assert.deepEqual(parseCommandProgram(text), problem);
  }
});

test("a program that turns in a circle, or jumps to nowhere, is stopped", () => {
  assert.equal(play("1 GOTO 1\n", [], []).end.kind, "fault");
  assert.equal(play("1 GOTO 2\n", [], []).end.kind, "fault");
  assert.equal(play("1 THROW\n", [], []).end.kind, "fault");
});

test("no text is a program that throws, and no input makes one throw", () => {
  const line = fc.oneof(fc.string(), fc.constantFrom(...PROGRAM.split("\n")));
  always(fc.array(line, { maxLength: 20 }), (lines) => {
    parseCommandProgram(lines.join("\n"));
  });
  always(fc.array(fc.string(), { maxLength: 20 }), (pieces) => {
    const { end } = play(PROGRAM, ["x"], pieces);
    assert.equal(end.kind, "exit");
  });
});
