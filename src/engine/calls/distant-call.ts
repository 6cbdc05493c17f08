/**
 * A call of a stopped thread, for other threads than its tracer: what they answer is sent to that.
 */
import { type AnswerableCall, sendFds, sendMessage } from "../../sys/index.ts";

/** An answer on its way to the tracer; a descriptor goes along. */
export type DistantAnswer = { readonly id: string } & (
  | { readonly kind: "continue" }
  | { readonly kind: "value"; readonly value: string }
  | { readonly kind: "descriptor"; readonly closeOnExec: boolean }
);

/** The call. */
export class DistantCall implements AnswerableCall {
  readonly #socket: number;
  readonly #id: string;
  readonly #caller: number;

  /**
   * @param socket leads to the tracer
   * @param caller the thread
   */
  constructor(socket: number, id: bigint, caller: number) {
    this.#socket = socket;
    this.#id = String(id);
    this.#caller = caller;
  }

  /** The thread's number is its own until its tracer has heard of its end. */
  isValid(): boolean {
    try {
      process.kill(this.#caller, 0);
      return true;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === "EPERM";
    }
  }

  continue(): void {
    this.#send({ id: this.#id, kind: "continue" });
  }

  succeed(value = 0n): void {
    this.#send({ id: this.#id, kind: "value", value: String(value) });
  }

  fail(errno: number): void {
    this.succeed(BigInt(-errno));
  }

  /** The tracer tells the caller whether there is room for it. */
  inject(descriptor: number, closeOnExec: boolean): number {
    this.#send({ id: this.#id, kind: "descriptor", closeOnExec }, [descriptor]);
    return 0;
  }

  leave(): void {}

  #send(answer: DistantAnswer, descriptors: readonly number[] = []): void {
    const octets = new TextEncoder().encode(JSON.stringify(answer));
    if (descriptors.length === 0) sendMessage(this.#socket, octets);
    else sendFds(this.#socket, octets, descriptors);
  }
}
