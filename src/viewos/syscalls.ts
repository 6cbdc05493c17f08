/**
 * The system calls that the engine knows: number on each architecture, class, arguments. The tables
 * are texts; a SyscallTable reads those of one architecture.
 */
import type { ArgumentKind } from "./syscall-arguments.ts";
import { SIGNATURES } from "./syscall-signatures.ts";
import { AUDIT_ARCH_AARCH64, AUDIT_ARCH_I386, AUDIT_ARCH_X86_64 } from "./syscall-numbers.ts";
import { AARCH64_CALLS, I386_CALLS, X86_64_CALLS } from "./syscall-tables.ts";

/** What a call is for: each call is in exactly one class. */
export type SyscallClass = keyof typeof SIGNATURES;

/** All classes, in the order of documents. */
export const SYSCALL_CLASSES = Object.keys(SIGNATURES) as readonly SyscallClass[];

/** Words that stand for several classes. */
export const CLASS_GROUPS: { readonly [group: string]: readonly SyscallClass[] } = {
  path: ["path-read", "path-write", "directory"],
  socket: ["socket-create", "socket-ops"],
  all: SYSCALL_CLASSES,
};

/** One system call of one architecture. */
export interface Syscall {
  readonly name: string;
  /** AUDIT_ARCH_* (linux/audit.h). */
  readonly arch: number;
  readonly number: number;
  readonly class: SyscallClass;
  /** Kinds of the arguments in order; "words" when they are not known. */
  readonly arguments: readonly ArgumentKind[] | "words";
}

interface Signature {
  readonly class: SyscallClass;
  readonly arguments: readonly ArgumentKind[] | "words";
}

const TABLES: { readonly [arch: number]: string } = {
  [AUDIT_ARCH_X86_64]: X86_64_CALLS,
  [AUDIT_ARCH_I386]: I386_CALLS,
  [AUDIT_ARCH_AARCH64]: AARCH64_CALLS,
};

function signatures(): Map<string, Signature> {
  const found = new Map<string, Signature>();
  for (const name of SYSCALL_CLASSES) {
    for (const [, call, list] of SIGNATURES[name].matchAll(/(\w+)\(([^)]*)\)/g)) {
      const kinds = list === "" ? [] : (list!.split(", ") as ArgumentKind[]);
      found.set(call!, { class: name, arguments: list === "?" ? "words" : kinds });
    }
  }
  return found;
}

/** `stat64` and `futex_time64` are `stat` and `futex` with wider fields. */
function signatureOf(name: string, known: ReadonlyMap<string, Signature>): Signature | undefined {
  return known.get(name) ?? known.get(name.replace(/(?:_time64|_?64|32)$/, ""));
}

/** Numbers of all calls of an architecture by name: much less work than a table. */
export function callNumbers(arch: number): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const word of (TABLES[arch] ?? "").split(/\s+/)) {
    const [name, number] = word.split("=");
    if (number !== undefined) found.set(name!, Number(number));
  }
  return found;
}

/** The calls of one architecture by name and number. */
export class SyscallTable {
  readonly arch: number;
  readonly #byName = new Map<string, Syscall>();
  readonly #byNumber = new Map<number, Syscall>();

  /** @param arch AUDIT_ARCH_*; an unknown one has an empty table. */
  constructor(arch: number) {
    this.arch = arch;
    const known = signatures();
    for (const [, name, number] of (TABLES[arch] ?? "").matchAll(/(\w+)=(\d+)/g)) {
      const signature = signatureOf(name!, known);
      if (signature === undefined) continue;
      const call: Syscall = { name: name!, arch, number: Number(number), ...signature };
      this.#byName.set(call.name, call);
      this.#byNumber.set(call.number, call);
    }
  }

  /** The call of that name; undefined when this architecture has none (aarch64 has no open). */
  named(name: string): Syscall | undefined {
    return this.#byName.get(name);
  }

  /** The call with that number; undefined when the table ends before it. */
  numbered(number: number): Syscall | undefined {
    return this.#byNumber.get(number);
  }

  /** All calls, by number. */
  calls(): readonly Syscall[] {
    return [...this.#byNumber.values()];
  }
}
