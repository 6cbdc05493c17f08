/**
 * Set-user-id programs that insist on root. In a view of an ordinary uid the kernel gives such a
 * program no other uid: root is not there. An older mount(8) then refuses before it asks the
 * kernel, though the view would mount. So these programs are told that they are root, and nothing
 * else is changed: what they do is allowed or not as before. Newer ones (util-linux 2.35) go on by
 * themselves and need no trap, which costs every program that asks for its uid a round trip.
 */
import { readFileSync, statSync } from "node:fs";
import type { CallRequest, Standpoint } from "../../sys/index.ts";
import { AUDIT_ARCH_I386, AUDIT_ARCH_X86_64, SyscallTable, type Trap } from "../../viewos/index.ts";
import { type Answer, CONTINUE } from "./answer.ts";

const S_ISUID = 0o4000;
/** Calls that ask who one is; i386 has them in two widths. */
const ASKING = ["getuid", "geteuid", "getuid32", "geteuid32"];
/** The set-user-id programs that a view serves. */
const MOUNT_PROGRAMS = ["/bin/mount", "/bin/umount"];
/** What libmount offers to a mount(8) that goes on without root. */
const GOES_ON_WITHOUT_ROOT = "mnt_context_force_unrestricted";

const ROOT: Answer = { kind: "value", value: 0n };

/** The calls to trap for the sake of set-user-id programs. */
export const SETUID_TRAP: Trap = { calls: ASKING };

/**
 * Do the programs of this host that mount insist on being root?
 * @param programs default: mount(8) and umount(8)
 */
export function mountingInsistsOnRoot(programs: readonly string[] = MOUNT_PROGRAMS): boolean {
  if (process.geteuid!() === 0) return false;
  return programs.some((path) => {
    try {
      const isSetuid = (statSync(path).mode & S_ISUID) !== 0;
      return isSetuid && !readFileSync(path).includes(GOES_ON_WITHOUT_ROOT);
    } catch {
      // It is not there, or may not be read: then it cannot be known, and costs nothing.
      return false;
    }
  });
}

/** Answers the question who one is. */
export class SetuidPrograms {
  readonly #standpoint: Standpoint;
  readonly #asking: ReadonlyMap<number, ReadonlySet<number>>;

  constructor(standpoint: Standpoint) {
    this.#standpoint = standpoint;
    const numbers = (arch: number): ReadonlySet<number> => {
      const table = new SyscallTable(arch);
      return new Set(ASKING.flatMap((name) => table.named(name)?.number ?? []));
    };
    this.#asking = new Map(
      [AUDIT_ARCH_X86_64, AUDIT_ARCH_I386].map((arch) => [arch, numbers(arch)]),
    );
  }

  /** Is that one of the calls? */
  isAsked({ arch, number }: CallRequest): boolean {
    return this.#asking.get(arch)?.has(number) === true;
  }

  /**
   * Root for a program that is set-user-id of somebody who is not in the view, else the truth. A
   * program that its caller may not read (mode 4711) hides from the supervisor, with its memory.
   */
  answer({ pid }: CallRequest): Answer {
    const program = this.#standpoint.statProc(`${pid}/exe`);
    if (program === undefined || (program.mode & S_ISUID) === 0) return CONTINUE;
    return program.uid === process.geteuid!() ? CONTINUE : ROOT;
  }
}
