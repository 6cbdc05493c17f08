/**
 * The server's half of FUSE as a state machine: it is given messages and gives replies. It knows
 * neither the device nor the clock. A file system that answers at once is answered at once; one
 * that promises keeps its exchange until then, and others are served meanwhile.
 */
import { ERRNO, errnoValue } from "../base/index.ts";
import { type Answer, call, encode } from "./calls.ts";
import { Exchange } from "./exchange.ts";
import type { FileSystem } from "./file-system.ts";
import { DATA_OCTETS_MAX, negotiate, type Session, type SessionOptions } from "./negotiation.ts";
import { IN_HEADER, INIT, OPCODE } from "./protocol.ts";

/** Where replies go. */
export interface FuseWire {
  /** One message: the first `length` octets. */
  send(octets: Uint8Array, length: number): void;
  /** One message: the first `length` octets, then `data`. */
  sendWith(octets: Uint8Array, length: number, data: Uint8Array): void;
}

export interface ServerOptions extends Omit<SessionOptions, "noOpendir"> {
  /** Requests that may wait for promises at once; more are answered EBUSY. Default 1024. */
  readonly pendingMax?: number;
  /** A function of the file system threw: its caller gets EIO, or the errno that it carried. */
  readonly onError?: (error: unknown) => void;
}

const PENDING_MAX = 1024;

export interface ServerCounters {
  requests: number;
  /** Messages that were no requests. */
  malformed: number;
  /** Requests answered EBUSY because too many wait. */
  refused: number;
  /** Functions of the file system that threw. */
  thrown: number;
  interrupted: number;
}

/** One mount's server (see the head of this file). */
export class FuseServer {
  readonly counters: ServerCounters = {
    requests: 0,
    malformed: 0,
    refused: 0,
    thrown: 0,
    interrupted: 0,
  };
  readonly #files: FileSystem;
  readonly #wire: FuseWire;
  readonly #options: ServerOptions & SessionOptions;
  readonly #pending = new Map<number, Exchange>();
  readonly #pendingMax: number;
  readonly #idle: Exchange[] = [];
  #unsettled = 0;
  #session: Session | undefined;

  constructor(files: FileSystem, wire: FuseWire, options: ServerOptions = {}) {
    this.#files = files;
    this.#wire = wire;
    this.#pendingMax = options.pendingMax ?? PENDING_MAX;
    this.#options = {
      ...options,
      noOpen: options.noOpen ?? files.open === undefined,
      noOpendir: files.opendir === undefined,
    };
  }

  /** What INIT agreed on; undefined before it. */
  get session(): Session | undefined {
    return this.#session;
  }

  get #flags(): number {
    return this.#session?.flags ?? 0;
  }

  /** Requests that wait for a promise; interrupted ones too, until their promise ends. */
  get pending(): number {
    return this.#unsettled;
  }

  /** An exchange to read the next request into. */
  takeExchange(): Exchange {
    return this.#idle.pop() ?? new Exchange(this.#options.dataOctetsMax ?? DATA_OCTETS_MAX);
  }

  /**
   * Serves the request of `octets` octets in `x.request`.
   * @returns the exchange for the next request: the same, or another while this one waits.
   */
  serve(x: Exchange, octets: number): Exchange {
    const problem = x.request.take(octets);
    this.counters.requests++;
    if (problem !== undefined) {
      this.counters.malformed++;
      if (octets >= IN_HEADER.octets) this.#finish(x, -ERRNO.EINVAL);
      return x;
    }
    switch (x.request.opcode) {
      case OPCODE.forget:
        this.#files.forget?.(x.request.node, x.request.u64(0));
        return x;
      case OPCODE.batchForget:
        this.#forgetMany(x);
        return x;
      case OPCODE.interrupt:
        this.#interrupt(x.request.u64(0));
        return x;
      case OPCODE.init:
        this.#init(x);
        return x;
      case OPCODE.notifyReply:
        return x;
      case OPCODE.lseek:
        // What the page cache has not written yet would look like a hole: the kernel does not
        // write it out first. Refused once, a file has no holes.
        if ((this.#flags & INIT.writebackCache) === 0) return this.#ask(x);
        this.#finish(x, -ERRNO.ENOSYS);
        return x;
      default:
        return this.#ask(x);
    }
  }

  #forgetMany({ request }: Exchange): void {
    const count = request.u32(0);
    for (let i = 0; i < count; i++) {
      this.#files.forget?.(request.u64(8 + 16 * i), request.u64(16 + 16 * i));
    }
  }

  #init(x: Exchange): void {
    const session = negotiate(x.request, x.reply, this.#options);
    if (typeof session === "object") this.#session = session;
    this.#finish(x, typeof session === "number" ? session : 0);
  }

  #ask(x: Exchange): Exchange {
    try {
      const answer = call(this.#files, x);
      if (!(answer instanceof Promise)) {
        this.#answer(x, answer);
        return x;
      }
      return this.#wait(x, answer);
    } catch (error) {
      this.#finish(x, this.#failure(error));
      return x;
    }
  }

  #wait(x: Exchange, promise: Promise<Answer>): Exchange {
    this.#unsettled++;
    if (this.#pending.size >= this.#pendingMax) {
      this.counters.refused++;
      x.interrupt();
      this.#finish(x, -ERRNO.EBUSY);
    } else this.#pending.set(x.request.unique, x);
    promise.then(
      (answer) => this.#settle(x, () => this.#answer(x, answer)),
      (error: unknown) => this.#settle(x, () => this.#finish(x, this.#failure(error))),
    );
    return this.takeExchange();
  }

  #settle(x: Exchange, finish: () => void): void {
    this.#unsettled--;
    if (!x.isInterrupted) {
      this.#pending.delete(x.request.unique);
      finish();
    }
    x.reset();
    this.#idle.push(x);
  }

  /** Whoever asked is answered at once: a killed caller could not go before its answer. */
  #interrupt(unique: number): void {
    const x = this.#pending.get(unique);
    if (x === undefined) return;
    this.counters.interrupted++;
    this.#pending.delete(unique);
    x.interrupt();
    this.#finish(x, -ERRNO.EINTR);
  }

  #answer(x: Exchange, answer: Answer): void {
    const outcome = encode(x, answer);
    if (typeof outcome === "number") this.#finish(x, outcome);
    else {
      x.reply.head(x.request.unique, 0, outcome.length);
      this.#wire.sendWith(x.reply.octets, x.reply.length, outcome);
    }
  }

  #finish(x: Exchange, outcome: number): void {
    x.reply.head(x.request.unique, outcome);
    this.#wire.send(x.reply.octets, x.reply.length);
  }

  /** The errno that an exception carries (`code: "ENOENT"`), or EIO. */
  #failure(error: unknown): number {
    const number = errnoOf(error);
    if (number !== undefined) return -number;
    this.counters.thrown++;
    this.#options.onError?.(error);
    return -ERRNO.EIO;
  }
}

/** What `code` of an exception names, as errors of Node and V2Errors do. */
export function errnoOf(error: unknown): number | undefined {
  const code = (error as { readonly code?: unknown } | undefined)?.code;
  return typeof code === "string" ? errnoValue(code) : undefined;
}
