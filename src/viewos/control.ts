/**
 * The language of a view's control socket: lines of JSON over a stream. A request is
 * `{"id":1,"op":"uname","args":{…}}`; its answer has the same id and either `"ok":true,"value":…`
 * or `"ok":false,"error":{"code":…,"message":…,"remedy":…}`. Pure: sockets are elsewhere.
 */

/** Longest line either side takes, without its end; a longer one ends the connection. */
export const CONTROL_LINE_OCTETS_MAX = 65_536;

/** Longest name of an operation. */
const OP_LENGTH_MAX = 64;

/** What an operation is asked to work on: checked by the operation itself. */
export type ControlArguments = { readonly [name: string]: unknown };

export interface ControlRequest {
  /** Chosen by the client: a whole number from 1 on; the answer carries it. */
  readonly id: number;
  readonly op: string;
  readonly args: ControlArguments;
}

/** Why an operation was not done, in the words of V2Error. */
export interface ControlFailure {
  readonly code: string;
  readonly message: string;
  readonly remedy?: string;
}

/** Id 0 answers a line that has no readable id, and what concerns the whole connection. */
export type ControlReply =
  | { readonly id: number; readonly ok: true; readonly value: unknown }
  | { readonly id: number; readonly ok: false; readonly error: ControlFailure };

/** Reads a request, or says what is wrong with the line as the reply to send. */
export function parseRequest(
  line: string,
):
  | { readonly request: ControlRequest }
  | { readonly refusal: Extract<ControlReply, { readonly ok: false }> } {
  const value = parseObject(line);
  const id = value !== undefined && isId(value["id"]) ? value["id"] : 0;
  const refuse = (message: string) => {
    return { refusal: { id, ok: false, error: { code: "REQUEST", message } } } as const;
  };
  if (value === undefined) return refuse("a request is one JSON object in a line");
  if (id === 0) return refuse("'id' is a whole number from 1 on");
  const { op, args = {} } = value;
  if (typeof op !== "string" || op === "" || op.length > OP_LENGTH_MAX) {
    return refuse(`'op' is a name of 1 to ${OP_LENGTH_MAX} characters`);
  }
  if (!isObject(args)) return refuse("'args' is an object");
  return { request: { id, op, args } };
}

/** Reads an answer; undefined: the line is none. */
export function parseReply(line: string): ControlReply | undefined {
  const value = parseObject(line);
  if (value === undefined || !(isId(value["id"]) || value["id"] === 0)) return undefined;
  const { id } = value;
  if (value["ok"] === true) return { id, ok: true, value: value["value"] };
  const { error } = value;
  if (value["ok"] !== false || !isObject(error)) return undefined;
  const { code, message, remedy } = error;
  if (typeof code !== "string" || typeof message !== "string") return undefined;
  if (remedy !== undefined && typeof remedy !== "string") return undefined;
  const hint = remedy === undefined ? {} : { remedy };
  return { id, ok: false, error: { code, message, ...hint } };
}

/** A request or a reply as its line, with its end. JSON has no line ends inside. */
export function controlLine(message: ControlRequest | ControlReply): string {
  return `${JSON.stringify(message)}\n`;
}

/** Cuts a stream into lines; what it holds of an unfinished one is bounded. */
export class ControlLines {
  readonly #decoder = new TextDecoder();
  readonly #unfinished: Uint8Array;
  #length = 0;
  #tooLong = false;

  /** @param octetsMax of a line without its end */
  constructor(octetsMax = CONTROL_LINE_OCTETS_MAX) {
    this.#unfinished = new Uint8Array(octetsMax);
  }

  /** A line was longer than it may be: the stream cannot be followed any more. */
  get isTooLong(): boolean {
    return this.#tooLong;
  }

  /** The lines that these octets end, without their ends; none any more once one was too long. */
  push(octets: Uint8Array): string[] {
    const lines: string[] = [];
    for (let at = 0; at < octets.length && !this.#tooLong; ) {
      const end = octets.indexOf(NEWLINE, at);
      const piece = octets.subarray(at, end === -1 ? octets.length : end);
      if (this.#length + piece.length > this.#unfinished.length) {
        this.#tooLong = true;
        break;
      }
      this.#unfinished.set(piece, this.#length);
      this.#length += piece.length;
      at += piece.length + 1;
      if (end === -1) break;
      lines.push(this.#decoder.decode(this.#unfinished.subarray(0, this.#length)));
      this.#length = 0;
    }
    return lines;
  }
}

const NEWLINE = 0x0a;

function isObject(value: unknown): value is ControlArguments {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isId(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0;
}

function parseObject(line: string): ControlArguments | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
