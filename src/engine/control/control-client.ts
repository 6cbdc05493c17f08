/** A client of a view's control socket: from inside by the private call, from outside by name. */
import { Socket } from "node:net";
import { ERRNO, errnoName, errnoText, EXIT, V2Error } from "../../base/index.ts";
import { callForDescriptor, closeDescriptor, sendFds, unixSocketPair } from "../../sys/index.ts";
import {
  type ControlArguments,
  controlLine,
  ControlLines,
  type ControlReply,
  parseReply,
  VUCTL,
} from "../../viewos/index.ts";
import { MESSAGE, MESSAGE_HEADER_OCTETS } from "../launch/launch-steps.ts";
import { connectToView } from "./view-session.ts";

/** A connection to the supervisor of a view. */
export class ControlClient implements Disposable {
  readonly #socket: Socket;
  readonly #lines = new ControlLines();
  readonly #waiting = new Map<number, (reply: ControlReply) => void>();
  #lastId = 0;
  /** Why there will be no more answers. */
  #ended: ControlReply | undefined;

  /** @param descriptor a connected stream socket, ours from now on. */
  constructor(descriptor: number) {
    this.#socket = new Socket({ fd: descriptor, readable: true, writable: true });
    this.#socket.on("data", (octets: Uint8Array) => this.#read(octets));
    // The close event follows and ends what waits.
    this.#socket.on("error", () => {});
    this.#socket.on("close", () => this.#end(GONE));
  }

  /** Has an operation done. Throws the V2Error that the view answers. */
  async ask(op: string, args: ControlArguments = {}): Promise<unknown> {
    const id = ++this.#lastId;
    const reply = await new Promise<ControlReply>((resolve) => {
      if (this.#ended !== undefined) resolve(this.#ended);
      else {
        this.#waiting.set(id, resolve);
        this.#socket.write(controlLine({ id, op, args }));
      }
    });
    if (reply.ok) return reply.value;
    const { code, message, remedy } = reply.error;
    throw new V2Error(code, message, remedy === undefined ? {} : { remedy });
  }

  /** The socket, for who has asked for the connection to be taken over; the client is done. */
  release(): Socket {
    for (const event of ["data", "error", "close"]) this.#socket.removeAllListeners(event);
    this.#ended = GONE;
    return this.#socket;
  }

  /** Ends the connection; what still waits fails. */
  close(): void {
    this.#socket.destroy();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #read(octets: Uint8Array): void {
    for (const line of this.#lines.push(octets)) {
      const reply = parseReply(line);
      if (reply === undefined) this.#end(GARBLED);
      else if (reply.id === 0) this.#end(reply);
      else {
        this.#waiting.get(reply.id)?.(reply);
        this.#waiting.delete(reply.id);
      }
    }
    if (this.#lines.isTooLong) this.#end(GARBLED);
  }

  /** All questions, present and future, get this answer. */
  #end(reply: ControlReply): void {
    this.#ended ??= reply;
    for (const resolve of this.#waiting.values()) resolve(this.#ended);
    this.#waiting.clear();
    this.#socket.destroy();
  }
}

const failure = (code: string, message: string): ControlReply => {
  return { id: 0, ok: false, error: { code, message } };
};
const GONE = failure("SUPERVISOR_GONE", "the supervisor of the view is gone");
const GARBLED = failure("CONTROL", "the supervisor of the view answers nonsense");

/**
 * Connects to the view that this process is in; undefined when it is in none.
 * @throws V2Error when the view cannot serve us.
 */
export function controlOfOwnView(): ControlClient | undefined {
  const descriptor = callForDescriptor(VUCTL);
  if (descriptor === -ERRNO.ENOSYS) return undefined;
  if (descriptor >= 0) return new ControlClient(descriptor);
  throw new V2Error(errnoName(-descriptor), `the view answers: ${errnoText(-descriptor)}`, {
    remedy: "it has too many control connections, or this process too many open files",
  });
}

/** Is this process in a view that answers? */
export function isInsideView(): boolean {
  const client = callForDescriptor(VUCTL);
  if (client >= 0) closeDescriptor(client);
  return client !== -ERRNO.ENOSYS;
}

/**
 * Connects to a view.
 * @param viewName a running view; undefined: the one that this process is in
 */
export function openControl(viewName?: string): ControlClient {
  if (viewName !== undefined) return new ControlClient(connectFromOutside(viewName));
  const client = controlOfOwnView();
  if (client !== undefined) return client;
  throw new V2Error("NOT_IN_A_VIEW", "this works only inside a view", {
    remedy: "start one: v2 view; if you are in one, its supervisor is gone",
    exitCode: EXIT.failed,
  });
}

/** Makes a connection and hands its other end to the supervisor, through the view's session. */
function connectFromOutside(viewName: string): number {
  const session = connectToView(viewName);
  const [ours, theirs] = unixSocketPair("stream", true);
  try {
    const message = new Uint8Array(MESSAGE_HEADER_OCTETS);
    message[0] = MESSAGE.control;
    new DataView(message.buffer).setUint32(1, process.pid, true);
    if (sendFds(session, message, [theirs]) > 0) return ours;
    closeDescriptor(ours);
    throw new V2Error("SUPERVISOR_GONE", `the supervisor of view '${viewName}' is gone`, {
      exitCode: EXIT.unavailable,
    });
  } finally {
    closeDescriptor(theirs);
    closeDescriptor(session);
  }
}
