/**
 * Modules of View-OS: a name, what it mounts, and handlers of operations. A module is plain data
 * and functions; who runs it (a thread of a supervisor, the fake kernel of a test) is not its
 * business.
 */
import {
  type Awaitable,
  ERRNO,
  type ErrnoName,
  EXIT,
  V2Error,
  type VirtualFiles,
  type VirtualStat,
} from "../base/index.ts";
import { type Condition, handlerTraps, type When } from "./conditions.ts";
import {
  CANNOT_EMULATE,
  type Operation,
  type OperationFields,
  OPERATIONS,
  type PathFields,
  type TwoPathFields,
  type UtsName,
} from "./operations.ts";
import type { Trap } from "./traps.ts";

/** Other files for a call than those it names. */
export interface OtherPaths {
  readonly path?: string;
  readonly newPath?: string;
}

/** What a handler decides about a call. Made by the call's methods. */
export type Decision =
  | { readonly kind: "pass" }
  | ({ readonly kind: "emulate" } & OtherPaths)
  | { readonly kind: "fail"; readonly errno: number }
  | { readonly kind: "reply"; readonly value?: unknown };

/** What `reply` takes for each operation: nothing, where a call has no result but success. */
export interface Replies {
  /** Fields that differ from the real ones. */
  readonly uname: Partial<UtsName>;
  /** Content of the file that is opened. */
  readonly open: string | Uint8Array;
  /** What the link says. */
  readonly readlink: string;
  readonly stat: VirtualStat;
}

type ReplyOf<O extends Operation> = O extends keyof Replies ? [value: Replies[O]] : [];

type Redirection<O extends Operation> = OperationFields[O] extends TwoPathFields
  ? [paths?: OtherPaths]
  : OperationFields[O] extends PathFields
    ? [path?: Pick<OtherPaths, "path">]
    : [];

/** How a handler answers. */
export interface Answering<O extends Operation> {
  readonly operation: O;
  /** The thread that made the call, as the supervisor numbers it. */
  readonly pid: number;
  /**
   * Leaves the call to older modules and then to the kernel, which reads the caller's memory again:
   * another thread may have changed it. To observe, never to permit.
   */
  pass(): Decision;
  /**
   * Leaves the call to older modules; then it is performed with exactly the arguments that the
   * handler has seen, or on other files: absolute paths of the view. Not for `exec` and `chdir`.
   */
  emulate(...others: Redirection<O>): Decision;
  /** The call fails with that errno. */
  fail(errno: ErrnoName | number): Decision;
  /** The call succeeds without being performed. */
  reply(...value: ReplyOf<O>): Decision;
}

/** A call of an operation: its fields, and how to answer. */
export type Call<O extends Operation> = OperationFields[O] &
  Answering<O> &
  // What the call would say without the module.
  (O extends "uname" ? { real(): UtsName } : unknown);

/** Answers a call. A handler that throws, or gives anything but a decision, is EIO. */
export type Handler<O extends Operation> = (call: Call<O>) => Awaitable<Decision>;

/** A handler, or one with a condition. */
export type Hook<O extends Operation> =
  | Handler<O>
  | { readonly when: When<O>; readonly do: Handler<O> };

/** What a module is asked to mount. */
export interface MountRequest {
  readonly type: string;
  readonly source: string;
  readonly target: string;
  /** `a,b=c` as { a: "", b: "c" }. */
  readonly options: { readonly [name: string]: string };
  /** The kernel drops what it remembers of that path. */
  readonly changed: (path: string) => void;
}

/** What a module consists of; all of it may be missing. */
export interface ModuleDefinition {
  /** Serves mounts of the module's types. */
  readonly mount?: (request: MountRequest) => Awaitable<VirtualFiles>;
  /** Types that mount(2) knows it by; default: its name. */
  readonly types?: readonly string[];
  readonly on?: { readonly [O in Operation]?: Hook<O> };
  /** One line for a list of modules. */
  readonly description?: string;
  /** It cannot be removed. */
  readonly permanent?: boolean;
  /** How long a handler may take to decide, in milliseconds; then the call is ETIMEDOUT. */
  readonly timeoutMs?: number;
  /** Called when it is removed. */
  readonly close?: () => Awaitable<void>;
}

/** A module. */
export interface Module extends ModuleDefinition {
  readonly name: string;
  /** Version of this interface: modules may be made with another copy of the package. */
  readonly api: 1;
}

/** How long a handler may take unless its module says otherwise. */
export const HANDLER_TIMEOUT_MS = 5000;

const NAME = /^[A-Za-z][\w.-]*$/;

function wrong(name: string, what: string, remedy: string): V2Error {
  return new V2Error("MODULE", `module '${name}': ${what}`, { remedy, exitCode: EXIT.usage });
}

/**
 * Makes a module.
 * @throws V2Error when the name or a handler is none.
 */
export function module(name: string, definition: ModuleDefinition): Module {
  if (!NAME.test(name)) {
    throw wrong(name, "that is no name", "letters, digits, '.', '_', '-', a letter first");
  }
  for (const [operation, hook] of Object.entries(definition.on ?? {})) {
    if (!(OPERATIONS as readonly string[]).includes(operation)) {
      throw wrong(name, `there is no operation '${operation}'`, `one of ${OPERATIONS.join(", ")}`);
    }
    if (typeof hook !== "function" && typeof hook?.do !== "function") {
      throw wrong(name, `'${operation}' has no handler`, "give a function, or { when, do }");
    }
  }
  return Object.freeze({ ...definition, name, api: 1 });
}

/** Is that a module, of whatever copy of the package? */
export function isModule(value: unknown): value is Module {
  if (typeof value !== "object" || value === null) return false;
  const { name, api } = value as { name?: unknown; api?: unknown };
  return typeof name === "string" && api === 1;
}

/** A handler and its condition. */
export interface NormalHook<O extends Operation> {
  readonly when: Condition;
  readonly do: Handler<O>;
}

/** A module's hook of an operation in its long form; undefined when it has none. */
export function hookOf<O extends Operation>(of: Module, operation: O): NormalHook<O> | undefined {
  const hook: Hook<O> | undefined = of.on?.[operation];
  if (hook === undefined) return undefined;
  return typeof hook === "function" ? { when: {}, do: hook } : hook;
}

/** What others need to know of a module: data that can be sent to another thread. */
export interface ModuleSummary {
  readonly name: string;
  readonly description: string;
  readonly types: readonly string[];
  readonly permanent: boolean;
  readonly timeoutMs: number;
  readonly hooks: readonly { readonly operation: Operation; readonly when: Condition }[];
}

/** Describes a module. */
export function summarize(of: Module): ModuleSummary {
  const operations = OPERATIONS.filter((operation) => of.on?.[operation] !== undefined);
  return {
    name: of.name,
    description: of.description ?? "",
    types: of.mount === undefined ? [] : (of.types ?? [of.name]),
    permanent: of.permanent ?? false,
    timeoutMs: of.timeoutMs ?? HANDLER_TIMEOUT_MS,
    hooks: operations.map((operation) => ({ operation, when: hookOf(of, operation)!.when })),
  };
}

/** The traps that a module's handlers need. */
export function moduleTraps(of: ModuleSummary): readonly Trap[] {
  return of.hooks.flatMap(({ operation, when }) => handlerTraps(operation, when));
}

/** The methods of every call. */
const ANSWERS = {
  pass: (): Decision => ({ kind: "pass" }),
  emulate: (others: OtherPaths = {}): Decision => ({ kind: "emulate", ...others }),
  fail: (errno: ErrnoName | number): Decision => ({
    kind: "fail",
    errno: typeof errno === "number" ? errno : (ERRNO[errno] ?? ERRNO.EIO),
  }),
  reply: (value?: unknown): Decision =>
    value === undefined ? { kind: "reply" } : { kind: "reply", value },
  real(this: { readonly names: UtsName }): UtsName {
    return this.names;
  },
};

/** Gives the fields of a call their methods. */
export function makeCall<O extends Operation>(
  operation: O,
  pid: number,
  fields: OperationFields[O],
): Call<O> {
  return Object.freeze({ ...ANSWERS, ...fields, operation, pid }) as unknown as Call<O>;
}

const ERRNO_MAX = 4095;

/** A type that there is, and numbers that fit. */
function isStat(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { type = "file", ...numbers } = value as { [name: string]: unknown };
  const isType = type === "file" || type === "directory" || type === "link";
  return isType && Object.values(numbers).every((found) => Number.isSafeInteger(found));
}

/** Can that value be replied to a call of the operation? */
function isReply(operation: Operation, value: unknown): boolean {
  switch (operation) {
    case "uname":
      return (
        typeof value === "object" &&
        value !== null &&
        Object.values(value).every((name) => typeof name === "string")
      );
    case "open":
      return typeof value === "string" || value instanceof Uint8Array;
    case "readlink":
      return typeof value === "string";
    case "stat":
      return isStat(value);
    default:
      return value === undefined;
  }
}

/** Absolute paths, or none. */
function isRedirection(value: object): value is OtherPaths {
  const { path, newPath, ...others } = value as { [name: string]: unknown };
  const isPath = (text: unknown): boolean =>
    text === undefined ||
    (typeof text === "string" && text.startsWith("/") && !text.includes("\0"));
  return isPath(path) && isPath(newPath) && Object.keys(others).every((name) => name === "kind");
}

/** What a handler gave, if it is a decision that fits the operation; undefined otherwise. */
export function asDecision(operation: Operation, value: unknown): Decision | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const {
    kind,
    errno,
    value: reply,
  } = value as { kind?: unknown; errno?: unknown; value?: unknown };
  if (kind === "pass") return { kind };
  if (kind === "emulate") {
    const possible = !CANNOT_EMULATE.has(operation) && isRedirection(value);
    return possible ? { ...value, kind } : undefined;
  }
  if (kind === "fail" && Number.isInteger(errno)) {
    const number = errno as number;
    return number > 0 && number <= ERRNO_MAX ? { kind, errno: number } : undefined;
  }
  if (kind !== "reply" || !isReply(operation, reply)) return undefined;
  return reply === undefined ? { kind } : { kind, value: reply };
}

/** `a,b=c` as an object; a word without `=` is "". */
export function parseOptions(text: string): { readonly [name: string]: string } {
  const words = text.split(",").filter((word) => word !== "");
  return Object.fromEntries(
    words.map((word) => {
      const at = word.indexOf("=");
      return at === -1 ? [word, ""] : [word.slice(0, at), word.slice(at + 1)];
    }),
  );
}
