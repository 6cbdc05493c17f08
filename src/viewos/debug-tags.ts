/**
 * The debug log of a view in the language of `vudebug`: categories of one letter each, small ones
 * for the engine and capital ones for modules, switched on and off and coloured by words such as
 * `+sp:r`, `-p`, `?`. Pure.
 */

/** The categories that are always known; modules may use further letters. */
export const DEBUG_TAGS: { readonly [tag: string]: string } = {
  D: "VUDEV",
  F: "VUFUSE",
  N: "VUNET",
  a: "ACTION",
  c: "CHOICE",
  f: "FILETABLE",
  m: "MODULE",
  n: "NESTED",
  p: "PATH",
  s: "SYSCALL",
  v: "VNODE",
};

/** All letters that may be categories. */
export const ALL_DEBUG_TAGS = "_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/** One word of `vudebug`. */
export interface DebugChange {
  /** "+" switches on, "-" off, "?" asks; "" only colours. */
  readonly action: "+" | "-" | "?" | "";
  /** Letters; "" for `?` alone: the known ones. */
  readonly tags: string;
  /** Letters of a colour, as written; undefined: none was. */
  readonly colour: string | undefined;
}

const COLOURS = "nrgybmcw";
const EFFECTS: { readonly [letter: string]: number } = {
  "+": 1,
  "-": 2,
  _: 4,
  "*": 5,
  "#": 7,
};

/** Reads `[+-?][TAG…][:COLOUR]`; undefined: it is no such word. */
export function parseDebugWord(word: string): DebugChange | undefined {
  const found = /^([+?-]?)([A-Za-z0-9_]*)(?::(.*))?$/s.exec(word);
  if (found === null) return undefined;
  const [, action, tags, colour] = found;
  if (action === "" && colour === undefined) return undefined;
  if (colour !== undefined && colourSequence(colour) === undefined) return undefined;
  const letters = tags === "" && action !== "?" ? ALL_DEBUG_TAGS : unique(tags!);
  return { action: action as DebugChange["action"], tags: letters, colour };
}

/**
 * The terminal's sequence for a colour: small letters for the text, capital ones for the ground
 * (n black, r, g, y, b, m, c, w white), `+` bright, `-` dim, `_` underlined, `*` blinking, `#`
 * reverse. "" for no colour; undefined: the text is none.
 */
export function colourSequence(colour: string): string | undefined {
  const codes: number[] = [];
  for (const letter of colour) {
    const text = COLOURS.indexOf(letter);
    const ground = COLOURS.indexOf(letter.toLowerCase());
    if (text >= 0) codes.push(30 + text);
    else if (ground >= 0) codes.push(40 + ground);
    else if (Object.hasOwn(EFFECTS, letter)) codes.push(EFFECTS[letter]!);
    else return undefined;
  }
  return codes.length === 0 ? "" : `\u001B[${codes.join(";")}m`;
}

/** Categories switched on, the letters of both without doubles, in order. */
export function addTags(tags: string, more: string): string {
  return unique(tags + more)
    .split("")
    .sort()
    .join("");
}

/** Those of the categories that are not among the others. */
export function removeTags(tags: string, fewer: string): string {
  return tags
    .split("")
    .filter((tag) => !fewer.includes(tag))
    .join("");
}

/** The line of `vudebug ?` for a category. */
export function tagLine(tag: string, isOn: boolean, isOnHere: boolean): string {
  const name = Object.hasOwn(DEBUG_TAGS, tag) ? DEBUG_TAGS[tag] : "";
  return `${tag} ${isOn ? "+" : "-"}${isOnHere ? "(+)" : "   "}${name}`.trimEnd();
}

/** The letters without doubles; all are of one octet. */
function unique(tags: string): string {
  return [...new Set(tags.split(""))].join("");
}
