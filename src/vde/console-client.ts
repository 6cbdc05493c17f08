/**
 * The management console of a VDE switch, seen from its client. Octets come in as the socket cuts
 * them, events go out. What a switch sends, from vde_switch(1) and observation:
 *
 *   banner lines · empty line · prompt "NAME$ " without newline
 *   0000 DATA END WITH '.' · lines · .            a data block, whole and never interrupted
 *   1EEE text                                     result: EEE is an errno in decimal, 000 success
 *   3TTT path text                                asynchronous, at any time; TTT a tag in octal
 *   9999 END OF SESSION                           without newline
 *
 * vde_switch, wirefilter, vde_l3 and slirpvde all speak it, with other names in the prompt.
 */

/** Characters of one line that are kept; the rest is counted as `cut`. */
export const CONSOLE_LINE_MAX = 16_384;
/** Lines of one reply that a `ReplyGatherer` keeps; the rest is counted in the reply. */
export const REPLY_LINES_MAX = 100_000;

const DATA_START = "0000 DATA END WITH '.'";
const DATA_END = ".";
const SESSION_END = "9999 END OF SESSION";
const PROMPT = /^[^\s$]{1,64}\$ /;
const RESULT = /^1(\d{3,5})(?: (.*))?$/;
const ASYNCHRONOUS = /^3([0-7]{3})(?: (\S*)(?: (.*))?)?$/;

/** One thing that a switch said. */
export type ConsoleEvent =
  /** A line before the first prompt. */
  | { readonly kind: "banner"; readonly line: string }
  /** The switch waits for a command. `name` is "vde" of "vde$ ". */
  | { readonly kind: "prompt"; readonly name: string }
  | { readonly kind: "data"; readonly line: string }
  | { readonly kind: "dataEnd" }
  /** The end of a command. `errno` 0: success. */
  | { readonly kind: "result"; readonly errno: number; readonly text: string }
  | DebugEvent
  /** A line of none of these forms, e.g. the echo of `load`. */
  | { readonly kind: "text"; readonly line: string }
  /** The switch ended the session; it says no more. */
  | { readonly kind: "end" };

/** An asynchronous line: `tag` is its number, `path` the category, e.g. "port/+". */
export interface DebugEvent {
  readonly kind: "debug";
  readonly tag: number;
  readonly path: string;
  readonly text: string;
}

/** Reads what a console sends; the events do not depend on how the octets are cut. */
export class ConsoleReader {
  /** Characters that did not fit in a line. */
  cut = 0;
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  /** Characters of the line that is not complete yet. */
  #pending = "";
  /** Characters since the last newline, the prompts among them too. */
  #column = 0;
  #place: "banner" | "reply" | "data" | "over" = "banner";

  /** Whether the session is over: the switch said so. */
  get isOver(): boolean {
    return this.#place === "over";
  }

  /** Takes octets of any number. @returns what they complete, in order. */
  push(octets: Uint8Array): readonly ConsoleEvent[] {
    const events: ConsoleEvent[] = [];
    const pieces = this.#decoder.decode(octets, { stream: true }).split("\n");
    for (let i = 0; i < pieces.length; i++) {
      this.#append(pieces[i]!);
      this.#takeUnterminated(events);
      if (i < pieces.length - 1) this.#takeLine(events);
    }
    return events;
  }

  #append(piece: string): void {
    if (this.#place === "over") return;
    // A peer that never ends a line must not fill the memory.
    const room = CONSOLE_LINE_MAX - this.#column;
    const kept = piece.slice(0, room);
    this.#pending += kept;
    this.#column += kept.length;
    this.cut += piece.length - kept.length;
  }

  /** Prompt and end of session have no newline: they are taken as soon as they are there. */
  #takeUnterminated(events: ConsoleEvent[]): void {
    if (this.#place === "data") return;
    for (;;) {
      const prompt = PROMPT.exec(this.#pending)?.[0];
      if (prompt === undefined) break;
      this.#pending = this.#pending.slice(prompt.length);
      this.#place = "reply";
      events.push({ kind: "prompt", name: prompt.slice(0, -2) });
    }
    if (!this.#pending.startsWith(SESSION_END)) return;
    this.#place = "over";
    this.#pending = "";
    events.push({ kind: "end" });
  }

  #takeLine(events: ConsoleEvent[]): void {
    this.#column = 0;
    if (this.#place === "over") return;
    const line = this.#pending.endsWith("\r") ? this.#pending.slice(0, -1) : this.#pending;
    this.#pending = "";
    if (this.#place === "data") {
      if (line === DATA_END) this.#place = "reply";
      events.push(line === DATA_END ? { kind: "dataEnd" } : { kind: "data", line });
      return;
    }
    const event = this.#meaning(line);
    if (event !== undefined) events.push(event);
  }

  #meaning(line: string): ConsoleEvent | undefined {
    const debug = ASYNCHRONOUS.exec(line);
    if (debug !== null) {
      const [, tag, path = "", text = ""] = debug;
      return { kind: "debug", tag: Number.parseInt(tag!, 8), path, text };
    }
    if (this.#place === "banner") return line === "" ? undefined : { kind: "banner", line };
    if (line === DATA_START) {
      this.#place = "data";
      return undefined;
    }
    const result = RESULT.exec(line);
    if (result !== null) {
      return { kind: "result", errno: Number(result[1]), text: result[2] ?? "" };
    }
    // Before each prompt stands an empty line; it says nothing.
    return line === "" ? undefined : { kind: "text", line };
  }
}

/** What a switch answered to one command. */
export interface ConsoleReply {
  /** 0: success. Undefined: the switch gave no result (an empty line, or the session ended). */
  readonly errno: number | undefined;
  /** The switch's words for it: "Success", "No such device". */
  readonly text: string;
  /** Lines of the data block. */
  readonly data: readonly string[];
  /** Lines outside a data block. */
  readonly echo: readonly string[];
  /** Lines left out because of REPLY_LINES_MAX. */
  readonly dropped: number;
}

/** Puts events together to replies: everything from one prompt to the next. */
export class ReplyGatherer {
  #data: string[] = [];
  #echo: string[] = [];
  #dropped = 0;
  #errno: number | undefined;
  #text = "";

  /** @returns the reply that this event completes: a prompt, or the end of the session. */
  take(event: ConsoleEvent): ConsoleReply | undefined {
    switch (event.kind) {
      case "data":
        this.#keep(this.#data, event.line);
        return undefined;
      case "text":
        this.#keep(this.#echo, event.line);
        return undefined;
      case "result":
        // `load` shows the results of the commands that it runs; the last one is its own.
        this.#errno = event.errno;
        this.#text = event.text;
        return undefined;
      case "prompt":
      case "end":
        return this.finish();
      default:
        return undefined;
    }
  }

  /** What there is of a reply, also of one that was broken off; begins the next. */
  finish(): ConsoleReply {
    const reply = {
      errno: this.#errno,
      text: this.#text,
      data: this.#data,
      echo: this.#echo,
      dropped: this.#dropped,
    };
    this.#data = [];
    this.#echo = [];
    this.#dropped = 0;
    this.#errno = undefined;
    this.#text = "";
    return reply;
  }

  #keep(lines: string[], line: string): void {
    if (this.#data.length + this.#echo.length < REPLY_LINES_MAX) lines.push(line);
    else this.#dropped++;
  }
}

/**
 * The octets of a command: one line. Characters that would end it, or that a console cannot take,
 * become spaces.
 */
export function emitCommand(command: string): Uint8Array {
  // oxlint-disable-next-line no-control-regex -- these are the characters to be taken out
  return new TextEncoder().encode(`${command.replace(/[\u0000-\u001f\u007f]/g, " ")}\n`);
}
