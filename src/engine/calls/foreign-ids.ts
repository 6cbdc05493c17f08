/**
 * Calls that name a user or group who is not in the view. An ordinary user's view has one of each;
 * of any other id its kernel says that there is none (EINVAL, user_namespaces(7)), where outside it
 * says that this is not allowed (EPERM, chown(2), setresuid(2)). Programs that find out who they
 * are by trying, fakeroot(1) among them, go on only after the latter. Views trap these calls
 * anyway.
 */
import { closeSync, readFileSync } from "node:fs";
import { ERRNO } from "../../base/index.ts";
import type { CallRequest, Standpoint } from "../../sys/index.ts";
import { AUDIT_ARCH_I386, AUDIT_ARCH_X86_64, SyscallTable } from "../../viewos/index.ts";
import { type Answer, failure } from "./answer.ts";

/** Arguments with ids of users and of groups; where a file is named. */
interface Shape {
  readonly users: readonly number[];
  readonly groups: readonly number[];
  /** Arguments of a file: -1 where the call has none; none at all: the call is about its caller. */
  readonly file?: { readonly directory: number; readonly path: number; readonly flags: number };
}

const owner = (users: number, directory: number, path: number, flags = -1): Shape => ({
  users: [users],
  groups: [users + 1],
  file: { directory, path, flags },
});

const SHAPES: { readonly [name: string]: Shape } = {
  chown: owner(1, -1, 0),
  lchown: owner(1, -1, 0),
  fchown: owner(1, 0, -1),
  fchownat: owner(2, 0, 1, 4),
  setuid: { users: [0], groups: [] },
  setgid: { users: [], groups: [0] },
  setreuid: { users: [0, 1], groups: [] },
  setregid: { users: [], groups: [0, 1] },
  setresuid: { users: [0, 1, 2], groups: [] },
  setresgid: { users: [], groups: [0, 1, 2] },
};

/** A call that gives a file to somebody. */
export interface OwnerChange {
  /** Argument with the directory, or with the file itself if there is no path; -1: none. */
  readonly directory: number;
  /** Argument with the path; -1: none. */
  readonly path: number;
  readonly flags: number;
  readonly uid: number;
  readonly gid: number;
}

interface Entry extends Shape {
  /** The old calls of i386 have ids of 16 bits. */
  readonly unchanged: number;
  /** AT_* flags of a call without an argument for them. */
  readonly flags: number;
}

const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_EMPTY_PATH = 0x1000;
const UNCHANGED = 0xffffffff;
const UNCHANGED_OLD = 0xffff;

function entriesOf(arch: number): ReadonlyMap<number, Entry> {
  const table = new SyscallTable(arch);
  const entries = new Map<number, Entry>();
  for (const [name, shape] of Object.entries(SHAPES)) {
    for (const full of [name, `${name}32`]) {
      const call = table.named(full);
      if (call === undefined) continue;
      const isOld = arch === AUDIT_ARCH_I386 && full === name && name !== "fchownat";
      const ofLink = name === "lchown" ? AT_SYMLINK_NOFOLLOW : 0;
      entries.set(call.number, {
        ...shape,
        unchanged: isOld ? UNCHANGED_OLD : UNCHANGED,
        flags: name === "fchown" ? AT_EMPTY_PATH : ofLink,
      });
    }
  }
  return entries;
}

/** Knows who is in the view of an ordinary user. */
export class ForeignIds {
  readonly #standpoint: Standpoint;
  readonly #entries = new Map(
    [AUDIT_ARCH_X86_64, AUDIT_ARCH_I386].map((arch) => [arch, entriesOf(arch)]),
  );
  readonly #uid = process.geteuid!();
  readonly #gid = process.getegid!();

  constructor(standpoint: Standpoint) {
    this.#standpoint = standpoint;
  }

  /**
   * What the view says of such a call: EPERM when it is about its caller, the change of a file's
   * owner for others to try; undefined: it names nobody who is not in the view.
   */
  find(request: CallRequest): Answer | OwnerChange | undefined {
    const entry = this.#foreign(request);
    if (entry === undefined) return undefined;
    const { file, users, groups, unchanged, flags } = entry;
    if (file === undefined) return failure(ERRNO.EPERM);
    const [uid, gid] = [users[0]!, groups[0]!].map((index) => {
      const id = low(request, index) & unchanged;
      return id >>> 0 === unchanged ? UNCHANGED : id >>> 0;
    });
    return {
      ...file,
      flags: file.flags === -1 ? flags : low(request, file.flags),
      uid: uid!,
      gid: gid!,
    };
  }

  /** The same answer, or EPERM if the kernel found the id invalid. */
  corrected(request: CallRequest, answer: Answer): Answer {
    const isInvalid = answer.kind === "done" && answer.errno === ERRNO.EINVAL;
    return isInvalid && this.#foreign(request) !== undefined ? failure(ERRNO.EPERM) : answer;
  }

  #foreign(request: CallRequest): Entry | undefined {
    const entry = this.#entries.get(request.arch)?.get(request.number);
    if (entry === undefined) return undefined;
    const { users, groups, unchanged } = entry;
    const isForeign = (own: number) => (index: number) => {
      const id = (low(request, index) & unchanged) >>> 0;
      return id !== unchanged && id !== own;
    };
    if (!users.some(isForeign(this.#uid)) && !groups.some(isForeign(this.#gid))) return undefined;
    return this.#isAlone(request.pid) ? entry : undefined;
  }

  /** Has its user namespace that user only, under its own number? Not with `--root`, or bwrap's. */
  #isAlone(pid: number): boolean {
    const fd = this.#standpoint.openProc(`${pid}/uid_map`);
    if (fd === -1) return false;
    try {
      const words = readFileSync(fd, "utf8").trim().split(/\s+/).map(Number);
      return words.length === 3 && words[0] === this.#uid && words[2] === 1;
    } finally {
      closeSync(fd);
    }
  }
}

function low(request: CallRequest, index: number): number {
  return Number(request.argument(index) & 0xffffffffn);
}
