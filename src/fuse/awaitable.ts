/** Values that are there, or will be. What is there is used at once, without a turn of the loop. */
import type { Awaitable } from "../base/index.ts";

/** Is that a promise, of any make? */
export function isPromise<T>(value: Awaitable<T>): value is Promise<T> {
  return (
    typeof value === "object" &&
    value !== null &&
    typeof (value as { readonly then?: unknown }).then === "function"
  );
}

/** Goes on with a value: now, or when it is there. */
export function after<T, R>(value: Awaitable<T>, next: (value: T) => Awaitable<R>): Awaitable<R> {
  return isPromise(value) ? Promise.resolve(value).then(next) : next(value);
}
