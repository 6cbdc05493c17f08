/** A connection of a stack as a stream of Node, so that Node's own HTTP and TLS go over it. */
import { Duplex } from "node:stream";
import { ERRNO } from "../base/index.ts";
import { POLL, type Sockets, waiting } from "../lwipv6/index.ts";

const READ_OCTETS = 65_536;

/** Both directions; destroying it closes the descriptor. */
export class StackStream extends Duplex {
  readonly fd: number;
  readonly #sockets: Sockets;
  readonly #buffer = new Uint8Array(READ_OCTETS);
  #reading: { cancel(): void } | undefined;
  #writing: { cancel(): void } | undefined;

  /** @param fd a connected stream socket, which is the stream's from now on. */
  constructor(sockets: Sockets, fd: number) {
    super({ allowHalfOpen: true });
    this.#sockets = sockets;
    this.fd = fd;
  }

  // Node's http asks for these of a socket; a stack's connections have no such timers.
  setTimeout(_ms: number): this {
    return this;
  }
  setNoDelay(): this {
    return this;
  }
  setKeepAlive(): this {
    return this;
  }

  override _read(): void {
    if (this.#reading !== undefined) return;
    for (;;) {
      const count = this.#sockets.receive(this.fd, this.#buffer);
      if (count === -ERRNO.EAGAIN) break;
      if (count < 0) {
        this.destroy(waiting.socketError(count, "receive"));
        return;
      }
      if (count === 0) {
        this.push(null);
        return;
      }
      if (!this.push(Buffer.from(this.#buffer.subarray(0, count)))) return;
    }
    const subscription = this.#sockets.subscribe(this.fd, POLL.in, () => {
      this.#reading = undefined;
      this._read();
    });
    if (subscription.now === 0) this.#reading = subscription;
    else setImmediate(() => this._read());
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error) => void): void {
    this.#writeFrom(chunk, 0, done);
  }

  override _final(done: (error?: Error) => void): void {
    this.#sockets.shutdown(this.fd, 1);
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#reading?.cancel();
    this.#writing?.cancel();
    this.#sockets.close(this.fd);
    done(error);
  }

  #writeFrom(chunk: Uint8Array, from: number, done: (error?: Error) => void): void {
    let at = from;
    while (at < chunk.length) {
      const taken = this.#sockets.send(this.fd, chunk, 0, undefined, at);
      if (taken === -ERRNO.EAGAIN) {
        const go = (): void => {
          this.#writing = undefined;
          this.#writeFrom(chunk, at, done);
        };
        const subscription = this.#sockets.subscribe(this.fd, POLL.out, go);
        if (subscription.now === 0) this.#writing = subscription;
        else setImmediate(go);
        return;
      }
      if (taken < 0) {
        done(waiting.socketError(taken, "send"));
        return;
      }
      at += taken;
    }
    done();
  }
}
