/**
 * A module that stands for one that is elsewhere: it wants the same calls, and has another ask the
 * real one. So modules of a program keep their place among those of files.
 */
import type { Awaitable } from "../base/index.ts";
import { type Call, type Decision, type Module, module, type ModuleSummary } from "./module.ts";
import type { OfferedCall } from "./module-chain.ts";
import type { Operation, OperationFields } from "./operations.ts";

/** What a handler is told about a call, without its methods. */
function fieldsOf(call: Call<Operation>): OperationFields[Operation] {
  const data = Object.entries(call).filter(
    ([name, value]) => typeof value !== "function" && name !== "operation" && name !== "pid",
  );
  return Object.fromEntries(data) as unknown as OperationFields[Operation];
}

/**
 * Makes the stand-in.
 * @param ask gives what the real module decides about a call
 */
export function standInFor(
  summary: ModuleSummary,
  ask: (call: OfferedCall) => Awaitable<Decision>,
): Module {
  const { name, description, types, permanent, timeoutMs, hooks } = summary;
  const handle = (call: Call<Operation>): Awaitable<Decision> =>
    ask({ operation: call.operation, pid: call.pid, fields: fieldsOf(call) });
  const on = Object.fromEntries(
    hooks.map(({ operation, when }) => [operation, hook(when, handle)]),
  );
  const mounts = types.length === 0 ? {} : { types, mount: cannotMount };
  return module(name, { description, permanent, timeoutMs, on, ...mounts });
}

const hook = (when: unknown, handle: unknown): object => ({ when, do: handle });

/** What mounts is asked where the real module is. */
function cannotMount(): never {
  throw new Error("a stand-in mounts nothing");
}
