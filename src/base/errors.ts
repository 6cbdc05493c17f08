/**
 * Failures of the second kind: an operation that cannot be done. A V2Error says what was refused,
 * why, and what the user can do about it. Bad input from a peer is a counted value, never an
 * exception; a bug of our own is an assertion (see assert.ts).
 */

/** Exit codes of every command (sysexits where one exists; 126/127/128+n as a shell). */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  notFound: 3,
  unavailable: 69,
  noPermission: 77,
  cannotExecute: 126,
  commandNotFound: 127,
} as const;

export interface V2ErrorOptions {
  /** One sentence: what to do so that it works. */
  readonly remedy?: string;
  /** Exit code of a command that ends with this error; default EXIT.failed. */
  readonly exitCode?: number;
  readonly cause?: unknown;
}

/**
 * An operation that cannot be done: stable `code`, a message naming the value at fault, a remedy.
 */
export class V2Error extends Error {
  override readonly name = "V2Error";
  readonly code: string;
  readonly remedy: string | undefined;
  readonly exitCode: number;

  constructor(code: string, message: string, options: V2ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.remedy = options.remedy;
    this.exitCode = options.exitCode ?? EXIT.failed;
  }
}
