/**
 * The supervisor's end of control sockets: takes requests, has them done by registered operations,
 * answers. Each connection is served one request after the other, so a client that floods waits
 * for itself; a slow operation holds up only the connection that asked for it.
 */
import { Socket } from "node:net";
import { V2Error } from "../../base/index.ts";
import { closeDescriptor } from "../../sys/index.ts";
import {
  type ControlArguments,
  controlLine,
  ControlLines,
  type ControlReply,
  type ControlRequest,
  parseRequest,
} from "../../viewos/index.ts";
import type { ConnectionCount } from "./control-door.ts";

/** Who asks. */
export interface ControlCaller {
  /** Process that opened the connection, in the number space of the host. */
  readonly pid: number;
  /** Number of its view in the tree of the supervisor. */
  readonly view: number;
  /** Aborts when the connection ends: what was asked for its time is over. */
  readonly connection: AbortSignal;
}

/**
 * Does an operation and returns the value of the answer (JSON), or a promise of it. A V2Error
 * becomes the error of the answer.
 */
export type ControlHandler = (args: ControlArguments, caller: ControlCaller) => unknown;

/** What a handler returns that takes the connection over; its answer is null. */
export class Takeover {
  /** Gets the socket, which is its own from then on; the client waits for the answer before. */
  readonly take: (socket: Socket) => void;

  constructor(take: (socket: Socket) => void) {
    this.take = take;
  }
}

/** The operations of a view, and the connections that ask for them. */
export class ControlServer {
  readonly #handlers = new Map<string, ControlHandler>();
  readonly #connections = new Set<Socket>();

  readonly #count: ConnectionCount;
  readonly #observe: (request: ControlRequest, caller: ControlCaller, reply: ControlReply) => void;

  /**
   * @param count the connections that the door has let in; each is released at its end.
   * @param observe is told what was asked and answered.
   */
  constructor(
    count: ConnectionCount,
    observe: (
      request: ControlRequest,
      caller: ControlCaller,
      reply: ControlReply,
    ) => void = () => {},
  ) {
    this.#count = count;
    this.#observe = observe;
  }

  /** Connections that are open. */
  get size(): number {
    return this.#connections.size;
  }

  /** Makes an operation known under a name; a name is registered once. */
  register(op: string, handler: ControlHandler): void {
    if (this.#handlers.has(op)) throw new Error(`operation '${op}' is registered twice`);
    this.#handlers.set(op, handler);
  }

  /** An operation is refused from now on, whoever asks. */
  lock(op: string, reason: V2Error): void {
    this.#handlers.set(op, () => {
      throw reason;
    });
  }

  /** Serves a connected socket, which is ours from now on, until its peer closes it. */
  serve(descriptor: number, caller: Omit<ControlCaller, "connection">): void {
    let socket: Socket;
    try {
      socket = new Socket({ fd: descriptor, readable: true, writable: true });
    } catch {
      // Somebody outside has sent what is no stream.
      closeDescriptor(descriptor);
      this.#count.release();
      return;
    }
    this.#connections.add(socket);
    // What goes wrong on a connection ends that connection; the close event follows.
    socket.on("error", () => {});
    const connection = new AbortController();
    socket.on("close", () => {
      this.#connections.delete(socket);
      this.#count.release();
      connection.abort();
    });
    void this.#converse(socket, { ...caller, connection: connection.signal });
  }

  /** Ends all connections. */
  close(): void {
    for (const socket of this.#connections) socket.destroy();
  }

  async #converse(socket: Socket, caller: ControlCaller): Promise<void> {
    const lines = new ControlLines();
    try {
      const stream = socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>;
      for await (const octets of stream) {
        for (const line of lines.push(octets)) {
          const read = parseRequest(line);
          const { reply, takeover }: Done =
            "refusal" in read ? { reply: read.refusal } : await this.#do(read.request, caller);
          if ("request" in read) this.#observe(read.request, caller, reply);
          await written(socket, lineOf(reply));
          if (takeover !== undefined) return takeover.take(socket);
        }
        if (!lines.isTooLong) continue;
        await written(socket, controlLine(TOO_LONG));
        break;
      }
    } catch {
      // The peer is gone in the middle of something: nobody to tell.
    }
    socket.end();
    socket.destroySoon();
  }

  async #do(request: ControlRequest, caller: ControlCaller): Promise<Done> {
    const { id, op, args } = request;
    const handler = this.#handlers.get(op);
    if (handler === undefined) {
      const message = `this view has no operation '${op}'`;
      const remedy = "its supervisor is of another release of v2: start the view again";
      return { reply: { id, ok: false, error: { code: "NO_OPERATION", message, remedy } } };
    }
    try {
      const value = (await handler(args, caller)) ?? null;
      if (!(value instanceof Takeover)) return { reply: { id, ok: true, value } };
      return { reply: { id, ok: true, value: null }, takeover: value };
    } catch (error) {
      const { message } = error as Error;
      if (!(error instanceof V2Error)) {
        return { reply: { id, ok: false, error: { code: "BUG", message } } };
      }
      const hint = error.remedy === undefined ? {} : { remedy: error.remedy };
      return { reply: { id, ok: false, error: { code: error.code, message, ...hint } } };
    }
  }
}

/** What became of a request. */
interface Done {
  readonly reply: ControlReply;
  readonly takeover?: Takeover;
}

const TOO_LONG: ControlReply = {
  id: 0,
  ok: false,
  error: { code: "LINE_TOO_LONG", message: "a line is too long" },
};

/** A value that is no JSON (a cycle, a BigInt) is a bug of its operation, not of the server. */
function lineOf(reply: ControlReply): string {
  try {
    return controlLine(reply);
  } catch (error) {
    const { message } = error as Error;
    return controlLine({ id: reply.id, ok: false, error: { code: "BUG", message } });
  }
}

/** Writes, and waits until the peer has taken it or is gone: nothing piles up here. */
function written(socket: Socket, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.write(text, (error) =>
      error === null || error === undefined ? resolve() : reject(error),
    );
  });
}
