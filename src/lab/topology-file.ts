/**
 * Reading a topology file: YAML with the place of everything in it, so that each problem is
 * reported as `FILE:LINE:COLUMN: what`, all problems at once.
 */
import * as v from "valibot";
import { type Document, isMap, isPair, isSeq, LineCounter, type Node, parseDocument } from "yaml";
import { EXIT, V2Error } from "../base/index.ts";
import { keysAt, TOPOLOGY_SCHEMA, type TopologyFile } from "./topology-schema.ts";

/** Where in the file: keys and list positions from the top. */
export type Path = readonly (string | number)[];

export interface Problem {
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

/** Rounds of taking out what the schema refuses, so that the rest can be checked too. */
const CLEANING_ROUNDS = 3;
/** A wrong value is shown with its problem, but not the whole of a file that is none. */
const PROBLEM_MAX = 240;

/** References to one YAML anchor, so that a small file cannot become a huge value. */
const ALIASES_MAX = 100;

export class TopologyDocument {
  readonly problems: Problem[] = [];
  /** The file as data; undefined when its shape is too wrong to go on. */
  readonly data: TopologyFile | undefined;
  readonly #document: Document;
  readonly #lines = new LineCounter();

  constructor(text: string) {
    this.#document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false });
    for (const error of this.#document.errors) this.#addAt(error.pos[0], error.message);
    this.data = this.#document.errors.length > 0 ? undefined : this.#readShape();
    if (this.data === undefined && this.problems.length === 0) {
      this.#addAt(0, "the file is empty; it needs 'name' and 'topology'");
    }
  }

  /** Reports a problem at a key (`on: "key"`) or at a value. */
  report(path: Path, message: string, on: "key" | "value" = "value"): void {
    this.#addAt(this.#offset(path, on), message);
  }

  #addAt(offset: number, message: string): void {
    const { line, col } = this.#lines.linePos(offset);
    // A problem is one line, also when a name in the file has line ends or terminal codes in it.
    const whole = message.replaceAll(/[\p{Cc}\p{Cf}\uFFFD\u2028\u2029]/gu, "?");
    const clean = whole.length > PROBLEM_MAX ? `${whole.slice(0, PROBLEM_MAX)}…` : whole;
    const problem = { line: Math.max(1, line), column: Math.max(1, col), message: clean };
    const isKnown = this.problems.some(
      (p) => p.line === problem.line && p.column === problem.column && p.message === clean,
    );
    if (!isKnown) this.problems.push(problem);
  }

  #readShape(): TopologyFile | undefined {
    let data: unknown;
    try {
      data = this.#document.toJS({ maxAliasCount: ALIASES_MAX });
    } catch (error) {
      this.#addAt(0, (error as Error).message);
      return undefined;
    }
    if (data === null || data === undefined) return undefined;
    for (let round = 0; round < CLEANING_ROUNDS; round++) {
      const result = v.safeParse(TOPOLOGY_SCHEMA, data);
      if (result.success) return result.output;
      let isCleaned = false;
      const copy: unknown = structuredClone(data);
      for (const issue of result.issues) {
        const path = (issue.path ?? []).map((item) => item.key as string | number);
        this.#reportIssue(issue, path);
        isCleaned = removeAt(copy, path) || isCleaned;
      }
      if (!isCleaned) return undefined;
      data = copy;
    }
    return undefined;
  }

  #reportIssue(issue: v.BaseIssue<unknown>, path: Path): void {
    const key = path.at(-1);
    if (issue.type === "never") {
      const wrong = String(key);
      const hint = suggestion(wrong, keysAt(path.slice(0, -1)));
      this.report(path, `unknown key '${wrong}'${hint}`, "key");
    } else if (issue.path?.at(-1)?.origin === "key") {
      this.report(path.slice(0, -1), `missing key '${key}'`, "key");
    } else {
      const what = key === undefined ? "the file" : `'${key}'`;
      const wanted = issue.message.startsWith("true") ? issue.message : `a ${issue.message}`;
      this.report(path, `${what} must be ${wanted}, not ${issue.received}`);
    }
  }

  /** Offset in the text of a key or value; of the nearest thing around it when it is not there. */
  #offset(path: Path, on: "key" | "value"): number {
    let node: unknown = this.#document.contents;
    let offset = rangeStart(node) ?? 0;
    for (const [depth, step] of path.entries()) {
      if (isMap(node)) {
        const pair = node.items.find((item) => isPair(item) && keyText(item.key) === String(step));
        if (pair === undefined) return offset;
        const isLast = depth === path.length - 1;
        const keyStart = rangeStart(pair.key) ?? offset;
        const valueStart = rangeStart(pair.value) ?? keyStart;
        offset = isLast && on === "value" ? valueStart : keyStart;
        node = pair.value;
      } else if (isSeq(node)) {
        node = node.items[Number(step)];
        offset = rangeStart(node) ?? offset;
      } else return offset;
    }
    return offset;
  }
}

/** All problems as one error; its message has one line per problem, in the order of the file. */
export function topologyError(path: string, problems: readonly Problem[]): V2Error {
  const sorted = [...problems].sort((a, b) => a.line - b.line || a.column - b.column);
  const lines = sorted.map((p) => `${path}:${p.line}:${p.column}: ${p.message}`);
  return new V2Error("BAD_TOPOLOGY", lines.join("\n"), { exitCode: EXIT.usage });
}

/** " (did you mean 'x'?)" for the nearest known word, or nothing when none is near. */
export function suggestion(wrong: string, known: readonly string[]): string {
  const ranked = known
    .map((word) => ({ word, distance: editDistance(wrong.toLowerCase(), word.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  const limit = Math.max(1, Math.floor(wrong.length / 3));
  return best === undefined || best.distance > limit ? "" : ` (did you mean '${best.word}'?)`;
}

/** Letters to insert, delete, replace or swap with their neighbour (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const isSame = a[i - 1] === b[j - 1];
      const isSwapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      row.push(
        Math.min(
          previous[j - 1]! + (isSame ? 0 : 1),
          previous[j]! + 1,
          row[j - 1]! + 1,
          isSwapped ? before[j - 2]! + 1 : Number.POSITIVE_INFINITY,
        ),
      );
    }
    before = previous;
    previous = row;
  }
  return previous[b.length]!;
}

function rangeStart(node: unknown): number | undefined {
  return (node as Node | null | undefined)?.range?.[0];
}

function keyText(key: unknown): string {
  return String((key as { readonly value?: unknown } | null)?.value ?? key);
}

/** Removes the value at a path; @returns false when there is nothing to remove. */
function removeAt(data: unknown, path: Path): boolean {
  const last = path.at(-1);
  let owner = data;
  for (const step of path.slice(0, -1)) {
    if (typeof owner !== "object" || owner === null) return false;
    owner = (owner as { [key: string]: unknown })[step];
  }
  if (typeof owner !== "object" || owner === null || last === undefined) return false;
  if (!Object.hasOwn(owner, last)) return false;
  // Taking an element out of a list would move the places of those behind it.
  if (Array.isArray(owner)) return false;
  delete (owner as { [key: string]: unknown })[last];
  return true;
}
