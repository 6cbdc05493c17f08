/**
 * What the checks know of a file: its text, its text without comments and literals, its imports. A
 * small scanner instead of a compiler: it needs no dependency and reads the whole tree in
 * milliseconds.
 */

/** Path from the root of the checkout ("src/base/errors.ts") to text. */
export type FileMap = ReadonlyMap<string, string>;

/** One rule broken at one place. */
export interface Violation {
  readonly file: string;
  /** From 1; 0: the file as a whole. */
  readonly line: number;
  readonly rule: string;
  readonly text: string;
}

export interface Import {
  /** As written: "./frame-pool.ts", "node:fs", "koffi". */
  readonly specifier: string;
  readonly line: number;
  /** Path of the file meant, for relative ones. */
  readonly target: string | undefined;
  /** import(), require() or a worker: loaded when it is needed, so it closes no ring at start. */
  readonly isLazy: boolean;
  /** `new URL(…)` of the program: its path is taken, to start it as a process. */
  readonly startsProgram: boolean;
}

/** What is started as a process of its own, from any layer. */
export const PROGRAM = "src/cli/main.ts";

/** Does a slash here begin a regular expression? After a value it divides. */
function beginsRegex(before: string): boolean {
  const text = before.trimEnd();
  if (text === "") return true;
  if (/[\w$)\]}"'`]$/.test(text)) {
    return /(?:^|[^\w$.])(?:return|typeof|case|in|of|await|yield|throw|else|do)$/.test(text);
  }
  return true;
}

class Blanker {
  readonly #text: string;
  readonly #keepComments: boolean;
  #at = 0;
  #out = "";

  constructor(text: string, keepComments: boolean) {
    this.#text = text;
    this.#keepComments = keepComments;
  }

  run(): string {
    this.#code(undefined);
    return this.#out;
  }

  /** Code up to the end, or to the `}` that closes a template's substitution. */
  #code(closing: "}" | undefined): void {
    let depth = 0;
    while (this.#at < this.#text.length) {
      const sign = this.#text[this.#at]!;
      const two = this.#text.slice(this.#at, this.#at + 2);
      if (two === "//") this.#comment(this.#text.indexOf("\n", this.#at));
      else if (two === "/*") this.#comment(this.#text.indexOf("*/", this.#at) + 2);
      else if (sign === '"' || sign === "'") this.#literal(sign);
      else if (sign === "`") this.#template();
      else if (sign === "/" && beginsRegex(this.#out.slice(-40))) this.#regex();
      else {
        if (sign === "{") depth++;
        if (sign === "}" && depth-- === 0 && closing === "}") return;
        this.#out += sign;
        this.#at++;
      }
    }
  }

  #blank(end: number): void {
    const stop = end <= this.#at ? this.#text.length : end;
    this.#out += this.#text.slice(this.#at, stop).replaceAll(/[^\n]/g, " ");
    this.#at = stop;
  }

  #comment(end: number): void {
    if (!this.#keepComments) {
      this.#blank(end);
      return;
    }
    const stop = end <= this.#at ? this.#text.length : end;
    this.#out += this.#text.slice(this.#at, stop);
    this.#at = stop;
  }

  /** Index after the literal that ends with `quote`; a line's end ends it too. */
  #literalEnd(quote: string): number {
    let at = this.#at + 1;
    while (at < this.#text.length && this.#text[at] !== quote && this.#text[at] !== "\n") {
      at += this.#text[at] === "\\" ? 2 : 1;
    }
    return at;
  }

  #literal(quote: string): void {
    const end = this.#literalEnd(quote);
    this.#out += quote;
    this.#at++;
    if (end > this.#at) this.#blank(end);
    this.#out += quote;
    this.#at++;
  }

  #regex(): void {
    let at = this.#at + 1;
    let inClass = false;
    while (at < this.#text.length && this.#text[at] !== "\n") {
      const sign = this.#text[at]!;
      if (sign === "/" && !inClass) break;
      if (sign === "[") inClass = true;
      if (sign === "]") inClass = false;
      at += sign === "\\" ? 2 : 1;
    }
    this.#out += "0";
    this.#at++;
    if (at > this.#at) this.#blank(at);
    this.#out += " ";
    this.#at++;
  }

  #template(): void {
    this.#out += "`";
    this.#at++;
    while (this.#at < this.#text.length) {
      const sign = this.#text[this.#at]!;
      if (sign === "`") break;
      if (sign === "$" && this.#text[this.#at + 1] === "{") {
        this.#out += "${";
        this.#at += 2;
        this.#code("}");
        this.#out += "}";
        this.#at++;
      } else {
        this.#blank(this.#at + (sign === "\\" ? 2 : 1));
      }
    }
    this.#out += "`";
    this.#at++;
  }
}

/**
 * The text with the insides of strings, templates and regular expressions, and comments unless
 * `keepComments`, replaced by spaces; lines stay lines.
 */
export function blank(text: string, keepComments = false): string {
  return new Blanker(text, keepComments).run();
}

/** Line number, from 1, of an index into a text. */
export function lineAt(text: string, index: number): number {
  let line = 1;
  for (let at = text.indexOf("\n"); at >= 0 && at < index; at = text.indexOf("\n", at + 1)) line++;
  return line;
}

/** "src/a/b.ts" and "../c/d.ts" to "src/c/d.ts"; a compiled name (.js) means its source. */
export function resolveFrom(file: string, specifier: string): string {
  const parts = file.split("/").slice(0, -1);
  for (const part of specifier.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== ".") parts.push(part);
  }
  return parts.join("/").replace(/\.js$/, ".ts");
}

const IMPORT =
  /(?<![\w$.])(?:import|export)\b(?:[^;"'`()]*?\bfrom)?\s*"( *)"|(?<![\w$.])(?:import|require)\(\s*"( *)"|\bnew URL\(\s*"( *)"/g;

/** Every import, export-from, import(), require() and new URL("./worker.js", …) of a file. */
export function importsOf(file: string, text: string): readonly Import[] {
  const code = blank(text);
  const found: Import[] = [];
  for (const match of code.matchAll(IMPORT)) {
    const length = (match[1] ?? match[2] ?? match[3] ?? "").length;
    const end = match.index + match[0].lastIndexOf('"');
    const specifier = text.slice(end - length, end);
    if (match[3] !== undefined && !/^\.\.?\/.*\.[jt]s$/.test(specifier)) continue;
    const target = specifier.startsWith(".") ? resolveFrom(file, specifier) : undefined;
    const isLazy = match[1] === undefined;
    const startsProgram = match[3] !== undefined && target === PROGRAM;
    found.push({ specifier, line: lineAt(text, end), target, isLazy, startsProgram });
  }
  return found;
}

export const isTest = (file: string): boolean => file.endsWith(".test.ts");

/** "src/vde/switch.ts" to "vde"; undefined outside src. */
export function folderOf(file: string): string | undefined {
  const [top, folder, ...rest] = file.split("/");
  return top === "src" && rest.length > 0 ? folder : undefined;
}
