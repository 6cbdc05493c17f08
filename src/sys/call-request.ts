/**
 * A system call whose caller waits for the answer of its supervisor: in a seccomp notification, or
 * stopped by its tracer. Whoever decides about calls sees no difference.
 */
export interface CallRequest {
  /** Where answers are taken by whoever has nothing but the id: see `DeputyCall`. */
  readonly descriptor: number;
  /** Its caller is stopped by a tracer of ours. */
  readonly isTraced: boolean;
  /** Names the request for as long as its caller waits. */
  readonly id: bigint;
  /** Thread that made the call, in the number space of our own pid namespace. */
  readonly pid: number;
  readonly number: number;
  /** AUDIT_ARCH_*. */
  readonly arch: number;
  /** Argument 0 to 5. A 32-bit caller's arguments arrive zero-extended. */
  argument(index: number): bigint;
  /** The lower half of an argument: an int, unsigned; no BigInt is made. */
  low(index: number): number;
  /** The upper half of an argument. */
  high(index: number): number;
  /** False once the caller is gone: what was read of its memory may be another's. */
  isValid(): boolean;
  /** A copy, which can be examined and answered after other requests are taken. */
  held(): CallRequest;
  /** The request is answered after others were taken. */
  leave(): void;
  /**
   * Lets the kernel perform the call as it stands. Never a security decision: memory may change.
   */
  continue(): void;
  /** The call returns `value`, or 0. */
  succeed(value?: bigint): void;
  /** The call fails with an errno. */
  fail(errno: number): void;
  /**
   * The call returns a copy of our descriptor, with the caller's next free number.
   * @returns 0, or the errno for which the call did not return: EMFILE when it has too many.
   */
  inject(descriptor: number, closeOnExec: boolean): number;
  /**
   * Puts a copy of our descriptor in the place of one of the caller's, who still waits.
   * @returns 0, or the errno for which it was not done.
   */
  replace(descriptor: number, theirs: number, closeOnExec: boolean): number;
  /** Puts the id into other memory, eight octets from `at` on. */
  copyId(into: Uint8Array, at: number): void;
}

/** What it takes to answer. */
export type AnswerableCall = Pick<
  CallRequest,
  "isValid" | "continue" | "succeed" | "fail" | "inject" | "leave"
>;
