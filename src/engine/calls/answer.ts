/**
 * What a trapped call comes to, and how its caller is told. The kernel performs a call again only
 * for `continue`, with whatever is then in the caller's memory: never after a decision.
 */
import { type AnswerableCall, closeDescriptor } from "../../sys/index.ts";

export type Answer =
  /** The call returns 0, or fails with an errno. */
  | { readonly kind: "done"; readonly errno: number }
  /** The call returns a number. */
  | { readonly kind: "value"; readonly value: bigint }
  /**
   * The call returns a descriptor: a copy of ours is put into the caller, ours is closed. With too
   * many open files there it fails with EMFILE, as an open of its own would.
   */
  | { readonly kind: "descriptor"; readonly descriptor: number; readonly closeOnExec: boolean }
  /** The kernel performs the call as it stands. */
  | { readonly kind: "continue" }
  /** Somebody answers afterwards, by `reply`. */
  | { readonly kind: "later" };

/** The answers that need no numbers: shared, so that a hot path makes no objects. */
export const CONTINUE: Answer = { kind: "continue" };
export const LATER: Answer = { kind: "later" };
export const SUCCESS: Answer = { kind: "done", errno: 0 };

/** The call fails with that errno. */
export function failure(errno: number): Answer {
  return { kind: "done", errno };
}

/** Tells the caller of the listener's current request what its call came to. */
export function reply(request: AnswerableCall, answer: Answer): void {
  switch (answer.kind) {
    case "continue":
      return request.continue();
    case "done":
      return answer.errno === 0 ? request.succeed() : request.fail(answer.errno);
    case "value":
      return request.succeed(answer.value);
    case "descriptor": {
      const refusal = request.inject(answer.descriptor, answer.closeOnExec);
      closeDescriptor(answer.descriptor);
      return refusal === 0 ? undefined : request.fail(refusal);
    }
    case "later":
      return request.leave();
  }
}
