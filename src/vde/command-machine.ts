/**
 * The state machine that drives a dialogue with a console (unixcmd(1), vdecmd(1)): what to wait
 * for, what to send, which lines to copy to standard output, which number to end with. One
 * instruction per line, "NUMBER WORD [ARGUMENT]…", run in the order of the numbers unless one
 * jumps:
 *
 *   TIMEOUT ms           longest wait of IN (no number in front)
 *   IN 'text' N          waits until the input holds the text; N when it does not come
 *   SEND 'text'          $* is the command, $1 … $9 its words
 *   IF 'text' N          jumps when the buffer begins with the text
 *   GOTO N
 *   SKIP n|'text'        drops characters, or everything up to and with the text
 *   COPY                 copies the buffer to the output
 *   THROW                empties the buffer; without it the next IN adds to it
 *   RVATOI [base]        the number at the buffer's begin becomes the result
 *   EXITRV · EXITATOI    ends with the result · with the number at the buffer's begin
 *   EXIT n
 *
 * Differs from the unixcmd of Debian 12: EXITATOI, which its own /etc/vde2/vdecmd uses, is known.
 */

const INSTRUCTIONS_MAX = 10_000;
/** Instructions run without waiting for input: more is a program that turns in a circle. */
const STEPS_MAX = 100_000;
/** Input that is kept while waiting for a text. */
const INPUT_MAX = 1 << 20;
const TIMEOUT_MS = 1000;

/** What each word takes: t a text, n a number; "?": may be left out; "*": a text or a number. */
const SHAPES = {
  IN: "tn",
  SEND: "t",
  IF: "tn",
  GOTO: "n",
  SKIP: "*",
  COPY: "",
  THROW: "",
  RVATOI: "n?",
  EXITRV: "",
  EXITATOI: "",
  EXIT: "n",
} as const;

type Word = keyof typeof SHAPES;

interface Instruction {
  readonly number: number;
  readonly word: Word;
  readonly text: string | undefined;
  readonly value: number | undefined;
}

/** A program that was read without a mistake. */
export interface CommandProgram {
  readonly timeoutMs: number;
  /** In the order of their numbers. */
  readonly instructions: readonly Instruction[];
}

/** What is wrong with a program, and in which line (from 1). */
export interface ProgramMistake {
  readonly line: number;
  readonly problem: string;
}

/** Reads a program; a line that cannot be read is the answer instead. */
export function parseCommandProgram(text: string): CommandProgram | ProgramMistake {
  let timeoutMs = TIMEOUT_MS;
  const byNumber = new Map<number, Instruction>();
  const lines = text.split("\n");
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]!.trim();
    if (line === "" || line.startsWith("#")) continue;
    const timeout = /^TIMEOUT\s+(\d{1,9})$/.exec(line);
    if (timeout !== null) {
      timeoutMs = Number(timeout[1]);
      continue;
    }
    const read = parseInstruction(line);
    if (typeof read === "string") return { line: i + 1, problem: read };
    byNumber.set(read.number, read);
    if (byNumber.size > INSTRUCTIONS_MAX) return { line: i + 1, problem: "too many instructions" };
  }
  return { timeoutMs, instructions: [...byNumber.values()].sort((a, b) => a.number - b.number) };
}

function parseInstruction(line: string): Instruction | string {
  const head = /^(\d{1,9})\s+([A-Z]+)\s*/.exec(line);
  if (head === null) return `'${line}' is no instruction`;
  const word = head[2]!;
  if (!Object.hasOwn(SHAPES, word)) return `unknown instruction '${word}'`;
  const values = parseArguments(line.slice(head[0].length));
  if (values === undefined) return `${word}: a text stands between '…', a number alone`;
  const given = values.map((value) => (typeof value === "string" ? "t" : "n")).join("");
  const shape: string = SHAPES[word as Word];
  const isRight =
    given === shape ||
    (shape.endsWith("?") && (given === "" || given === shape.slice(0, -1))) ||
    (shape === "*" && given.length === 1);
  if (!isRight) return `${word}: wrong arguments`;
  const text = values.find((value) => typeof value === "string");
  const value = values.find((value) => typeof value === "number");
  return { number: Number(head[1]), word: word as Word, text, value };
}

/** Texts and numbers of a line; undefined: something else. */
function parseArguments(text: string): readonly (string | number)[] | undefined {
  const values: (string | number)[] = [];
  const pattern = /\s*(?:'((?:[^'\\]|\\.)*)'|(-?\d{1,9})(?=\s|$))/y;
  while (pattern.lastIndex < text.trimEnd().length) {
    const match = pattern.exec(text);
    if (match === null) return undefined;
    values.push(match[1] === undefined ? Number(match[2]) : unescape(match[1]));
  }
  return values;
}

function unescape(text: string): string {
  return text.replace(/\\(.)/g, (_, letter: string) =>
    letter === "n" ? "\n" : letter === "t" ? "\t" : letter === "r" ? "\r" : letter,
  );
}

/** What a machine wants next. */
export type MachineStep =
  /** Send this, then `step` again. */
  | { readonly kind: "send"; readonly text: string }
  /** Copy this to standard output, then `step` again. */
  | { readonly kind: "output"; readonly text: string }
  /** Give input with `push`, or `giveUp` after the program's time; then `step` again. */
  | { readonly kind: "wait" }
  | { readonly kind: "exit"; readonly code: number }
  /** The program is at fault, e.g. it turns in a circle or jumps to nowhere. */
  | { readonly kind: "fault"; readonly problem: string };

/** A program on its way: the caller does what `step` asks for. No input makes it throw. */
export class CommandMachine {
  readonly #instructions: readonly Instruction[];
  readonly #indexOf: ReadonlyMap<number, number>;
  readonly #command: readonly string[];
  #at = 0;
  #buffer = "";
  #input = "";
  #result = 0;
  #hasGivenUp = false;
  #steps = 0;

  /** @param command the words of the command line. */
  constructor(program: CommandProgram, command: readonly string[]) {
    this.#instructions = program.instructions;
    this.#indexOf = new Map(program.instructions.map(({ number }, index) => [number, index]));
    this.#command = command;
  }

  /** Input that came; what is beyond a limit is dropped, a program waits for short texts. */
  push(text: string): void {
    this.#input += text.slice(0, INPUT_MAX - this.#input.length);
  }

  /** No more input comes, or not in time: the IN that waits takes its other way. */
  giveUp(): void {
    this.#hasGivenUp = true;
  }

  /** Runs until something has to be done outside. */
  step(): MachineStep {
    for (;;) {
      const instruction = this.#instructions[this.#at];
      if (instruction === undefined) return fault("the program has no EXIT at its end");
      if (++this.#steps > STEPS_MAX) return fault("the program turns in a circle");
      const asked = this.#do(instruction);
      if (asked !== undefined) return asked;
    }
  }

  /** Carries out one instruction and goes to the next. */
  #do({ word, text = "", value = 0 }: Instruction): MachineStep | undefined {
    if (word === "IN") return this.#wait(text, value);
    if (word === "GOTO") return this.#jump(value);
    if (word === "IF" && this.#buffer.startsWith(text)) return this.#jump(value);
    this.#at++;
    switch (word) {
      case "SEND":
        return { kind: "send", text: this.#expand(text) };
      case "COPY":
        return { kind: "output", text: this.#buffer };
      case "THROW":
        this.#buffer = "";
        return undefined;
      case "SKIP":
        this.#skip(text, value);
        return undefined;
      case "RVATOI":
        this.#result = numberAtBegin(this.#buffer, value === 0 ? 10 : value);
        return undefined;
      case "EXITRV":
        return { kind: "exit", code: this.#result & 0xff };
      case "EXITATOI":
        return { kind: "exit", code: numberAtBegin(this.#buffer, 10) & 0xff };
      case "EXIT":
        return { kind: "exit", code: value & 0xff };
      default:
        return undefined;
    }
  }

  #wait(text: string, otherwise: number): MachineStep | undefined {
    const at = this.#input.indexOf(text);
    if (at !== -1) {
      this.#buffer += this.#input.slice(0, at + text.length);
      this.#input = this.#input.slice(at + text.length);
      this.#at++;
      return undefined;
    }
    if (!this.#hasGivenUp && this.#input.length < INPUT_MAX) {
      // Waiting is no turn of a circle.
      this.#steps = 0;
      return { kind: "wait" };
    }
    this.#hasGivenUp = false;
    this.#buffer += this.#input;
    this.#input = "";
    return this.#jump(otherwise);
  }

  #jump(number: number): MachineStep | undefined {
    const index = this.#indexOf.get(number);
    if (index === undefined) return fault(`there is no instruction ${number}`);
    this.#at = index;
    return undefined;
  }

  #skip(text: string, count: number): void {
    if (text === "") this.#buffer = this.#buffer.slice(Math.max(count, 0));
    else {
      const at = this.#buffer.indexOf(text);
      this.#buffer = at === -1 ? "" : this.#buffer.slice(at + text.length);
    }
  }

  #expand(text: string): string {
    return text.replace(/\$([*1-9])/g, (_, which: string) =>
      which === "*" ? this.#command.join(" ") : (this.#command[Number(which) - 1] ?? ""),
    );
  }
}

function fault(problem: string): MachineStep {
  return { kind: "fault", problem };
}

/** As atoi(3): 0 when there is no number. */
function numberAtBegin(text: string, base: number): number {
  const number = Number.parseInt(text.slice(0, 12), base);
  return Number.isNaN(number) ? 0 : number;
}
