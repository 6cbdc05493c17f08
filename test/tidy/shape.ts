/** The shape of files: length, width, depth, life, words, doc comments. */
import { createHash } from "node:crypto";
import { blank, type FileMap, folderOf, importsOf, isTest, type Violation } from "./source.ts";

export const FILE_LINES_MAX = 500;
export const LINE_COLUMNS_MAX = 100;
export const FOLDER_DEPTH_MAX = 3;

const isCode = (file: string) => /\.(?:ts|mjs|js)$/.test(file);

/** Files longer than one idea. Documents may be long. */
export function checkLength(files: FileMap): readonly Violation[] {
  const found: Violation[] = [];
  for (const [file, text] of files) {
    if (!isCode(file)) continue;
    const lines = text.trimEnd().split("\n").length;
    if (lines <= FILE_LINES_MAX) continue;
    found.push({ file, line: lines, rule: "length", text: `${lines} lines > ${FILE_LINES_MAX}` });
  }
  return found;
}

/** Lines too wide to read side by side. Literals, and rows of tables, may be wide. */
export function checkWidth(files: FileMap): readonly Violation[] {
  const found: Violation[] = [];
  for (const [file, text] of files) {
    if (!isCode(file)) continue;
    if (!text.split("\n").some((line) => line.length > LINE_COLUMNS_MAX)) continue;
    const lines = blank(text, true).split("\n");
    text.split("\n").forEach((line, i) => {
      if (line.length <= LINE_COLUMNS_MAX) return;
      const isRow = /^\s*(?:[[{]|(?:\*|\/\/)\s*\|)/.test(line) || /https?:\/\/\S{60}/.test(line);
      const code = lines[i]!.replaceAll(/(\S) {2,}/g, "$1 ");
      if (isRow || code.length <= LINE_COLUMNS_MAX) return;
      found.push({ file, line: i + 1, rule: "width", text: `${line.length} columns` });
    });
  }
  return found;
}

/** At most three folders above a source file. */
export function checkDepth(files: FileMap): readonly Violation[] {
  return [...files.keys()]
    .filter((file) => isCode(file) && file.split("/").length - 1 > FOLDER_DEPTH_MAX)
    .map((file) => ({ file, line: 0, rule: "depth", text: `deeper than ${FOLDER_DEPTH_MAX}` }));
}

/** Files of src that nothing imports. Doors, the program and tests are where reading begins. */
export function checkDead(files: FileMap): readonly Violation[] {
  const alive = new Set<string>();
  for (const [file, text] of files) {
    if (!isCode(file)) continue;
    for (const { target } of importsOf(file, text)) {
      if (target !== undefined && target !== file) alive.add(target);
    }
  }
  const isEntry = (file: string) =>
    isTest(file) || file === "src/cli/main.ts" || /^src\/[^/]+\/index\.ts$/.test(file);
  return [...files.keys()]
    .filter((file) => folderOf(file) !== undefined && file.endsWith(".ts"))
    .filter((file) => !isEntry(file) && !alive.has(file))
    .map((file) => ({ file, line: 0, rule: "dead", text: "no file imports it" }));
}

const digest = (word: string) => createHash("sha256").update(word).digest("hex").slice(0, 12);

/**
 * Words that belong to somebody's desk and not into the product: names of tools that wrote or moved
 * text here, and marks of unfinished work. Kept as digests, so that this list does not hold them;
 * a word is compared as written and in lower case.
 */
const BANNED: ReadonlySet<string> = new Set([
  "053ea4804ef1",
  "064866d6167a",
  "11fb682be0a0",
  "306d77f4daf6",
  "337e547a950f",
  "3ea125d0bff3",
  "487b91042c7c",
  "57de4cf40144",
  "5d72436256ad",
  "60965168ce76",
  "666a44f05807",
  "7d3194f79e64",
  "82cb453cb937",
  "94a168d2da57",
  "c18be819d365",
  "c70eca6b0f88",
  "c857d09db23e",
  "c9ad8f2cc129",
  "cd2eb0837c9b",
  "d298391b0743",
  "d63516bc9898",
  "de2187af3fb0",
]);

/** Absolute paths of somebody's machine; /home/me and /home/alice are examples. */
const MACHINE_PATH =
  /(?<![\w.~$}<>-])\/(?:work|root|Users|workspace|mnt\/data|home\/(?!me\b|alice\b|user\b)[a-z]\w*)\/\w/g;

/** Banned words and machine paths in any text file. */
export function checkWords(files: FileMap): readonly Violation[] {
  const found: Violation[] = [];
  const judged = new Map<string, boolean>();
  const isBanned = (word: string): boolean => {
    let verdict = judged.get(word);
    if (verdict === undefined) {
      verdict = BANNED.has(digest(word)) || BANNED.has(digest(word.toLowerCase()));
      judged.set(word, verdict);
    }
    return verdict;
  };
  for (const [file, text] of files) {
    if (file === "package-lock.json") continue;
    text.split("\n").forEach((line, i) => {
      for (const [word] of line.matchAll(/[A-Za-z][A-Za-z0-9_]*/g)) {
        if (!isBanned(word)) continue;
        found.push({ file, line: i + 1, rule: "word", text: `the word '${word}'` });
      }
      for (const [path] of line.matchAll(MACHINE_PATH)) {
        found.push({ file, line: i + 1, rule: "word", text: `a path of one machine: ${path}…` });
      }
    });
  }
  return found;
}

const EXPORT = /^export (?:async )?(?:abstract )?(?:function|class) (\w+)/;

/** What a folder's door gives out has a doc comment: functions and classes. */
export function checkDocs(files: FileMap): readonly Violation[] {
  const found: Violation[] = [];
  for (const [door, doorText] of files) {
    if (!/^src\/[^/]+\/index\.ts$/.test(door)) continue;
    for (const { target } of importsOf(door, doorText)) {
      const text = target === undefined ? undefined : files.get(target);
      if (text === undefined || target === undefined) continue;
      const lines = text.split("\n");
      lines.forEach((line, i) => {
        const name = EXPORT.exec(line)?.[1];
        if (name === undefined) return;
        const before = lines[i - 1]?.trimEnd() ?? "";
        const isOverload = EXPORT.exec(before)?.[1] === name;
        if (before.endsWith("*/") || before.startsWith("//") || isOverload) return;
        found.push({
          file: target,
          line: i + 1,
          rule: "docs",
          text: `'${name}' has no doc comment`,
        });
      });
    }
  }
  return found;
}
