/**
 * Questions and answers between two places that both may ask: a program and the supervisor that its
 * modules serve (lines of JSON over a socket), or two threads (messages). A question may be taken
 * back; when the link ends, all that wait fail, and all that is being answered is aborted.
 */
import type { Socket } from "node:net";
import type { MessagePort } from "node:worker_threads";
import { V2Error } from "../../base/index.ts";
import { ControlLines } from "../../viewos/index.ts";

/** Longest line of a link over a socket: what one answer may hold, written in base64. */
export const LINK_LINE_OCTETS_MAX: number = 16 * 1024 * 1024;

/** What is asked; `op` says how it is meant. */
export type LinkArguments = { readonly [name: string]: unknown };

/**
 * Answers the other side's questions. The signal is raised when the answer is not wanted any more.
 */
export type LinkHandler = (op: string, args: LinkArguments, signal: AbortSignal) => unknown;

/** Why there is no answer, in the words of V2Error. */
interface LinkError {
  readonly code: string;
  readonly message: string;
  readonly remedy?: string;
}

/** On its way; data that can be cloned, and written as JSON. */
export type LinkMessage =
  | { readonly id: number; readonly op: string; readonly args: LinkArguments }
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: LinkError }
  | { readonly id: number; readonly cancel: true };

interface Waiting {
  resolve(value: unknown): void;
  reject(error: V2Error): void;
}

const gone = (): V2Error => new V2Error("ENOTCONN", "the other side is gone");

/** One end of a link, whatever carries its messages. */
export class Link {
  readonly #post: (message: LinkMessage) => void;
  readonly #serve: LinkHandler;
  readonly #waiting = new Map<number, Waiting>();
  readonly #serving = new Map<number, AbortController>();
  #lastId = 0;
  #isOver = false;

  constructor(post: (message: LinkMessage) => void, serve: LinkHandler) {
    this.#post = post;
    this.#serve = serve;
  }

  /**
   * Asks the other side.
   * @param signal takes the question back
   * @throws V2Error with the code that the other side has thrown; ENOTCONN when it is gone
   */
  ask(op: string, args: LinkArguments = {}, signal?: AbortSignal): Promise<unknown> {
    if (this.#isOver) return Promise.reject(gone());
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const cancel = (): void => this.#post({ id, cancel: true });
      signal?.addEventListener("abort", cancel, { once: true });
      const settled = (): void => signal?.removeEventListener("abort", cancel);
      this.#waiting.set(id, {
        resolve: (value) => (settled(), resolve(value)),
        reject: (error) => (settled(), reject(error)),
      });
      this.#post({ id, op, args });
    });
  }

  /** A message of the other side. */
  take(message: LinkMessage): void {
    const { id } = message;
    if ("op" in message) void this.#answer(id, message.op, message.args);
    else if ("cancel" in message) this.#serving.get(id)?.abort();
    else {
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if ("error" in message) waiting?.reject(thrown(message.error));
      else waiting?.resolve(message.value);
    }
  }

  /** There will be no more messages; idempotent. */
  end(): void {
    this.#isOver = true;
    for (const waiting of this.#waiting.values()) waiting.reject(gone());
    this.#waiting.clear();
    for (const controller of this.#serving.values()) controller.abort();
    this.#serving.clear();
  }

  async #answer(id: number, op: string, args: LinkArguments): Promise<void> {
    const controller = new AbortController();
    this.#serving.set(id, controller);
    let answer: LinkMessage;
    try {
      answer = { id, value: await this.#serve(op, args, controller.signal) };
    } catch (error) {
      answer = { id, error: sent(error) };
    }
    this.#serving.delete(id);
    if (!this.#isOver) this.#post(answer);
  }
}

/** An error of whatever kind, for the other side. */
function sent(error: unknown): LinkError {
  const { code, message, remedy } = (error ?? {}) as { readonly [name: string]: unknown };
  return {
    code: typeof code === "string" ? code : "FAILED",
    message: typeof message === "string" ? message : String(error),
    ...(typeof remedy === "string" ? { remedy } : {}),
  };
}

function thrown({ code, message, remedy }: LinkError): V2Error {
  return new V2Error(code, message, remedy === undefined ? {} : { remedy });
}

/** A link to another thread. */
export function portLink(port: MessagePort, serve: LinkHandler): Link {
  const link = new Link((message) => port.postMessage(message), serve);
  port.on("message", (message: LinkMessage) => link.take(message));
  port.on("close", () => link.end());
  return link;
}

/** A link over a stream socket, which is the link's from now on. Who writes no sense is cut off. */
export function socketLink(socket: Socket, serve: LinkHandler): Link {
  const lines = new ControlLines(LINK_LINE_OCTETS_MAX);
  const link = new Link((message) => {
    const line = lineOf(message);
    if (line.length <= LINK_LINE_OCTETS_MAX) socket.write(line);
    else if ("value" in message) socket.write(lineOf({ id: message.id, error: TOO_LONG }));
    else link.take({ id: message.id, error: TOO_LONG });
  }, serve);
  socket.on("data", (octets: Uint8Array) => {
    for (const line of lines.push(octets)) {
      const message = messageOf(line);
      if (message === undefined) socket.destroy();
      else link.take(message);
    }
    if (lines.isTooLong) socket.destroy();
  });
  // The close event follows.
  socket.on("error", () => {});
  socket.on("close", () => link.end());
  return link;
}

const TOO_LONG = {
  code: "EFBIG",
  message: `an answer has ${LINK_LINE_OCTETS_MAX} octets at most, as text: give large files by readAt`,
};

/** Octets are no JSON: they go as base64 under this name. */
const OCTETS = "$octets";

function lineOf(message: LinkMessage): string {
  const text = JSON.stringify(message, function write(this: LinkArguments, key, value: unknown) {
    // What a Buffer's own toJSON has made of it is not wanted.
    const raw = this[key];
    return raw instanceof Uint8Array ? { [OCTETS]: Buffer.from(raw).toString("base64") } : value;
  });
  return `${text}\n`;
}

function messageOf(line: string): LinkMessage | undefined {
  try {
    const message: unknown = JSON.parse(line, (_, value: unknown) => {
      const octets = (value as LinkArguments | null)?.[OCTETS];
      return typeof octets === "string" ? new Uint8Array(Buffer.from(octets, "base64")) : value;
    });
    const isMessage = typeof message === "object" && message !== null && "id" in message;
    return isMessage ? (message as LinkMessage) : undefined;
  } catch {
    return undefined;
  }
}
