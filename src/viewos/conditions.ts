/**
 * Conditions of a handler (`when`): data, not code. What of them lies in registers becomes tests of
 * the filter, so that other calls are not even trapped; the rest is tested on the captured call.
 */
import { familyNumber } from "./operation-fields.ts";
import {
  type AddressFields,
  COLD_OPERATIONS,
  type Operation,
  operationCalls,
  type OperationFields,
  type PathFields,
  socketcallNumbers,
} from "./operations.ts";
import type { ArgumentTest } from "./filter.ts";
import { type Trap, WRITING_OPEN } from "./traps.ts";

/** One value, or any of several. */
export type OneOf<T> = T | readonly T[];

interface PathCondition {
  /**
   * Patterns of absolute paths: `*` stands for anything within a name, `**` for anything at all;
   * `/etc/**` is /etc and all below. Of two paths, one must match.
   */
  readonly path?: OneOf<string>;
}

interface OpenCondition extends PathCondition {
  /** True: only when the file may be written, made or truncated; false: only otherwise. */
  readonly write?: boolean;
}

interface AddressCondition {
  readonly family?: OneOf<string>;
  readonly port?: OneOf<number>;
}

interface SocketCondition {
  readonly family?: OneOf<string>;
  readonly type?: OneOf<string>;
}

interface MountCondition extends PathCondition {
  readonly type?: OneOf<string>;
}

/** The condition that a handler of an operation can have. */
export type When<O extends Operation> = O extends "open"
  ? OpenCondition
  : O extends "mount"
    ? MountCondition
    : O extends "socket"
      ? SocketCondition
      : OperationFields[O] extends PathFields
        ? PathCondition
        : OperationFields[O] extends AddressFields
          ? AddressCondition
          : { readonly [none: string]: never };

/** Any condition; the keys that an operation does not have are never set. */
export interface Condition extends OpenCondition, AddressCondition {
  readonly type?: OneOf<string>;
}

/** The fields of any call, as far as conditions look at them. */
interface AnyFields {
  readonly path?: string;
  readonly newPath?: string;
  readonly write?: boolean;
  readonly addr?: { readonly family: string; readonly port?: number };
  readonly family?: string;
  readonly type?: string;
}

const asList = <T extends string | number>(value: OneOf<T>): readonly T[] =>
  typeof value === "object" ? value : [value];

/** A path pattern as a regular expression. */
export function pathPattern(pattern: string): RegExp {
  const tree = pattern.endsWith("/**");
  const body = tree ? pattern.slice(0, -"/**".length) : pattern;
  const source = body.replaceAll(/\*\*|\*|[.+?^${}()|[\]\\]/g, (sign) => {
    if (sign === "**") return ".*";
    return sign === "*" ? "[^/]*" : `\\${sign}`;
  });
  return new RegExp(`^${source}${tree ? "(?:/.*)?" : ""}$`, "s");
}

/** Makes the test of a condition on captured calls; patterns are compiled once. */
export function compileCondition(when: Condition): (fields: object) => boolean {
  const patterns = when.path === undefined ? undefined : asList(when.path).map(pathPattern);
  const families = when.family === undefined ? undefined : asList(when.family);
  const ports = when.port === undefined ? undefined : asList(when.port);
  const types = when.type === undefined ? undefined : asList(when.type);
  return (fields) => {
    const { path, newPath, write, addr, family = addr?.family, type } = fields as AnyFields;
    if (when.write !== undefined && write !== when.write) return false;
    if (families !== undefined && !families.includes(family ?? "")) return false;
    if (ports !== undefined && !ports.includes(addr?.port ?? -1)) return false;
    if (types !== undefined && !types.includes(type ?? "")) return false;
    if (patterns === undefined) return true;
    const names = [path, newPath].filter((name) => name !== undefined);
    return patterns.some((pattern) => names.some((name) => pattern.test(name)));
  };
}

const argumentIs = (argument: number, value: number): ArgumentTest => ({
  argument,
  bits: 32,
  mask: 0xffffffffn,
  value: BigInt(value >>> 0),
});

function socketcallTraps(operation: Operation): readonly Trap[] {
  return socketcallNumbers(operation).map((number) => ({
    calls: [],
    names: ["socketcall"],
    tests: [argumentIs(0, number)],
  }));
}

/** The traps that a handler of an operation needs, under its condition. */
export function handlerTraps(operation: Operation, when: Condition): readonly Trap[] {
  const names = operationCalls(operation);
  if (operation === "open" && when.write === true) {
    return [{ calls: [], names, openFlags: WRITING_OPEN }];
  }
  if (operation === "socket" && when.family !== undefined) {
    const families = asList(when.family).map((name) => familyNumber(name) ?? 0);
    const tested = families.map((family) => ({ calls: [], names, tests: [argumentIs(0, family)] }));
    return [...tested, ...socketcallTraps(operation)];
  }
  return [{ calls: [], names }, ...socketcallTraps(operation)];
}

/** The traps of level 2, which every view has. */
export function coldTraps(): readonly Trap[] {
  return COLD_OPERATIONS.flatMap((operation) => handlerTraps(operation, {}));
}
