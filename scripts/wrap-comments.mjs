/**
 * Wraps comments wider than 100 columns; the formatter leaves them as they are. Words that do not
 * fit move to the next line of the same paragraph. Part of `npm run format`; writes only what it
 * changes.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const FOLDERS = ["src", "test", "bench", "fuzz", "scripts"];
const COLUMNS_MAX = 100;

/** Lines that begin something of their own: tags, list items, tables, indented text, headings. */
const OWN_START = /^(?:@|[-*+|#>]|\d+[.)]\s|\s)/;

/** Splits a comment line into what stands before its text and the text. */
function commentOf(line) {
  const match = /^(\s*(?:\*|\/\/) ?)(.*)$/.exec(line);
  return match === null ? undefined : { head: match[1], text: match[2] };
}

/** A one-line doc comment that is too wide becomes a block. */
function openBlock(line) {
  const match = /^(\s*)\/\*\* (.*) \*\/$/.exec(line);
  if (match === null) return undefined;
  return [`${match[1]}/**`, `${match[1]} * ${match[2]}`, `${match[1]} */`];
}

function isContinuation(line, head) {
  const next = line === undefined ? undefined : commentOf(line);
  if (next === undefined || next.head !== head || line.trimStart().startsWith("*/")) return false;
  return next.text.trim() !== "" && !OWN_START.test(next.text);
}

function wrapText(text) {
  const lines = text.split("\n");
  let inTemplate = false;
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i];
    const ticks = line.replaceAll("\\`", "").split("`").length - 1;
    const comment = commentOf(line);
    if (comment === undefined && ticks % 2 === 1) inTemplate = !inTemplate;
    if (inTemplate || line.length <= COLUMNS_MAX) continue;
    const block = openBlock(line);
    if (block !== undefined) {
      lines.splice(i, 1, ...block);
      continue;
    }
    if (comment === undefined || comment.text.startsWith("|")) continue;
    const cut = line.lastIndexOf(" ", COLUMNS_MAX);
    if (cut <= comment.head.length) continue;
    lines[i] = line.slice(0, cut);
    const moved = line.slice(cut + 1);
    const item = /^(?:[-*+]|\d+[.)]|@\w+)\s+/.test(comment.text) ? "  " : "";
    if (isContinuation(lines[i + 1], comment.head)) {
      lines[i + 1] = `${comment.head}${moved} ${commentOf(lines[i + 1]).text}`;
    } else if (item !== "" && isContinuation(lines[i + 1], `${comment.head}${item}`)) {
      lines[i + 1] = `${comment.head}${item}${moved} ${commentOf(lines[i + 1]).text.trim()}`;
    } else {
      const deeper = /^\s+/.exec(comment.text)?.[0] ?? item;
      lines.splice(i + 1, 0, `${comment.head}${deeper}${moved}`);
    }
  }
  return lines.join("\n");
}

for (const folder of FOLDERS) {
  if (!existsSync(join(ROOT, folder))) continue;
  for (const name of readdirSync(join(ROOT, folder), { recursive: true })) {
    if (!/\.(?:ts|mjs)$/.test(name)) continue;
    const path = join(ROOT, folder, name);
    const before = readFileSync(path, "utf8");
    const after = wrapText(before);
    if (after !== before) writeFileSync(path, after);
  }
}
