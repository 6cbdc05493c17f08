/**
 * One line being typed: the keys of emacs and of every terminal, history, and the sequences that
 * draw it. Pure: keys go in, text for the terminal comes out, so that other text can be put above
 * the line at any time. (node:readline garbles text pasted into the middle of a line in Node 20,
 * and does not say on which row of the terminal it left the cursor.)
 *
 * Each character is taken as one column wide; a line with wider ones is drawn again too far left.
 */

/** Lines of history. */
const HISTORY_MAX = 500;
const CHARACTERS_MAX = 4096;

/** A key as node:readline's emitKeypressEvents tells it. */
export interface Key {
  readonly name?: string | undefined;
  readonly ctrl?: boolean | undefined;
  readonly meta?: boolean | undefined;
  readonly sequence?: string | undefined;
}

/** What has to happen because of a key; "edited": nothing but drawing. */
export type KeyEffect =
  | "edited"
  | "complete"
  | "interrupt"
  | "end"
  | "clear"
  | { readonly submitted: string };

export class LineEditor {
  #characters: string[] = [];
  #cursor = 0;
  #killed: string[] = [];
  readonly #history: string[] = [];
  /** Place in the history; its length: the line being typed. */
  #historyAt = 0;
  /** What was typed before going back in the history. */
  #draft: string[] = [];

  /** The line as it is. */
  get line(): string {
    return this.#characters.join("");
  }

  /** The part in front of the cursor, which completion looks at. */
  get typed(): string {
    return this.#characters.slice(0, this.#cursor).join("");
  }

  /** Puts text in at the cursor. Characters that steer a terminal are left out. */
  insert(text: string): void {
    const room = CHARACTERS_MAX - this.#characters.length;
    // oxlint-disable-next-line no-control-regex -- these are the characters to be taken out
    const characters = Array.from(text.replace(/[\u0000-\u001f\u007f-\u009f]/g, "")).slice(0, room);
    this.#characters.splice(this.#cursor, 0, ...characters);
    this.#cursor += characters.length;
  }

  /** Takes one key. */
  press(text: string | undefined, key: Key): KeyEffect {
    if (key.name === "return" || key.name === "enter") return this.#submit();
    const action =
      key.ctrl === true
        ? CONTROL[key.name ?? ""]
        : key.meta === true
          ? META[key.name ?? ""]
          : PLAIN[key.name ?? ""];
    if (action !== undefined) return this.#do(action);
    if (key.ctrl !== true && key.meta !== true && text !== undefined) this.insert(text);
    return "edited";
  }

  #submit(): KeyEffect {
    const { line } = this;
    if (line.trim() !== "" && this.#history.at(-1) !== line) this.#history.push(line);
    if (this.#history.length > HISTORY_MAX) this.#history.shift();
    this.#historyAt = this.#history.length;
    this.#set([]);
    return { submitted: line };
  }

  #do(action: Action): KeyEffect {
    const length = this.#characters.length;
    switch (action) {
      case "complete":
      case "interrupt":
      case "clear":
        return action;
      case "deleteOrEnd":
        if (length === 0) return "end";
        this.#characters.splice(this.#cursor, 1);
        break;
      case "delete":
        this.#characters.splice(this.#cursor, 1);
        break;
      case "backspace":
        if (this.#cursor > 0) this.#characters.splice(--this.#cursor, 1);
        break;
      case "left":
        this.#cursor = Math.max(this.#cursor - 1, 0);
        break;
      case "right":
        this.#cursor = Math.min(this.#cursor + 1, length);
        break;
      case "home":
        this.#cursor = 0;
        break;
      case "end":
        this.#cursor = length;
        break;
      case "wordLeft":
        this.#cursor = this.#wordStart();
        break;
      case "wordRight":
        this.#cursor = this.#wordEnd();
        break;
      case "killRight":
        this.#killed = this.#characters.splice(this.#cursor);
        break;
      case "killLeft":
        this.#kill(0);
        break;
      case "killWord":
        this.#kill(this.#wordStart());
        break;
      case "yank":
        this.insert(this.#killed.join(""));
        break;
      case "older":
        this.#goTo(this.#historyAt - 1);
        break;
      case "newer":
        this.#goTo(this.#historyAt + 1);
        break;
    }
    return "edited";
  }

  #set(characters: string[]): void {
    this.#characters = characters;
    this.#cursor = characters.length;
  }

  #kill(from: number): void {
    this.#killed = this.#characters.splice(from, this.#cursor - from);
    this.#cursor = from;
  }

  #wordStart(): number {
    let at = this.#cursor;
    while (at > 0 && this.#characters[at - 1] === " ") at--;
    while (at > 0 && this.#characters[at - 1] !== " ") at--;
    return at;
  }

  #wordEnd(): number {
    let at = this.#cursor;
    while (this.#characters[at] === " ") at++;
    while (at < this.#characters.length && this.#characters[at] !== " ") at++;
    return at;
  }

  #goTo(place: number): void {
    if (place < 0 || place > this.#history.length) return;
    if (this.#historyAt === this.#history.length) this.#draft = this.#characters;
    this.#historyAt = place;
    const line = this.#history[place];
    this.#set(line === undefined ? this.#draft : Array.from(line));
  }

  /** The line on a terminal, behind a prompt. */
  picture(prompt: string, columns: number): LinePicture {
    const width = Math.max(columns, 1);
    const before = Array.from(prompt).length;
    const end = before + this.#characters.length;
    const cursor = before + this.#cursor;
    const [endRow, cursorRow] = [Math.floor(end / width), Math.floor(cursor / width)];
    // A full row leaves the cursor in its last column until something follows.
    const wrap = end > 0 && end % width === 0 ? " \r" : "";
    const up = endRow > cursorRow ? `\u001b[${endRow - cursorRow}A` : "";
    const column = cursor % width;
    const right = column > 0 ? `\u001b[${column}C` : "";
    return { text: `${prompt}${this.line}${wrap}${up}\r${right}`, cursorRow, endRow };
  }
}

/** What to write, from the first column of an empty row. */
export interface LinePicture {
  readonly text: string;
  /** Rows from the prompt to the cursor, and to the end of the line. */
  readonly cursorRow: number;
  readonly endRow: number;
}

type Action =
  | "complete"
  | "interrupt"
  | "clear"
  | "deleteOrEnd"
  | "delete"
  | "backspace"
  | "left"
  | "right"
  | "home"
  | "end"
  | "wordLeft"
  | "wordRight"
  | "killRight"
  | "killLeft"
  | "killWord"
  | "yank"
  | "older"
  | "newer";

interface Keys {
  readonly [name: string]: Action | undefined;
}

const PLAIN: Keys = {
  tab: "complete",
  backspace: "backspace",
  delete: "delete",
  left: "left",
  right: "right",
  home: "home",
  end: "end",
  up: "older",
  down: "newer",
};

const CONTROL: Keys = {
  a: "home",
  b: "left",
  c: "interrupt",
  d: "deleteOrEnd",
  e: "end",
  f: "right",
  h: "backspace",
  k: "killRight",
  l: "clear",
  n: "newer",
  p: "older",
  u: "killLeft",
  w: "killWord",
  y: "yank",
  left: "wordLeft",
  right: "wordRight",
};

const META: Keys = { b: "wordLeft", f: "wordRight", backspace: "killWord" };
