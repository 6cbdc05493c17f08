/**
 * Our thread in the place of a caller, for files: its user, groups, capabilities and root. It never
 * has a right over files that the caller lacks; what it has laid down it takes up again at rest.
 *
 * From one call to the next the callers are mostly alike, so whatever is the same is left alone.
 *
 * Sources: credentials(7), capabilities(7), path_resolution(7).
 */
import {
  AT,
  CAP,
  changeDirectory,
  changeRoot,
  type FileCalls,
  O,
  setFileGroup,
  setFileUser,
  setThreadGroups,
  setUmask,
  ThreadCapabilities,
} from "../../sys/index.ts";
import { type Caller, NO_CAPABILITIES } from "./caller.ts";

const SLASH = Uint8Array.of(0x2f, 0);

export class StandIn {
  readonly #files: FileCalls;
  readonly #proc: number;
  readonly #capabilities = new ThreadCapabilities();
  readonly #ownRoot: number;
  readonly #own: Caller;
  #uid: number;
  #gid: number;
  #groups: string;
  #mask = -1;
  /** Capabilities of whom we stand in for. */
  #low = 0;
  #high = 0;
  #atRest = true;
  #foreignRoot = false;

  /** @param own what our thread is by itself, with all its capabilities */
  constructor(files: FileCalls, proc: number, own: Caller) {
    this.#files = files;
    this.#proc = proc;
    this.#own = own;
    this.#ownRoot = files.openat(AT.FDCWD, SLASH, O.PATH | O.CLOEXEC);
    this.#uid = own.uid;
    this.#gid = own.gid;
    this.#groups = own.groups;
  }

  /**
   * Our thread becomes the caller, but for one capability: looking into processes, which has no
   * power over files outside of /proc. `exactly` lays that down, too.
   * @param real with its real user and group, as access(2) wants it
   * @returns false when that cannot be: then nothing may be done in its name
   */
  become(caller: Caller, real: boolean): boolean {
    const uid = real ? caller.realUid : caller.uid;
    const gid = real ? caller.realGid : caller.gid;
    const sameUser = uid === this.#uid && gid === this.#gid && caller.groups === this.#groups;
    if (!sameUser || caller.root !== -1) {
      this.rest();
      if (!this.#take(uid, gid, caller)) return false;
    }
    this.#atRest = false;
    const set = real ? (uid === 0 ? caller.permitted : NO_CAPABILITIES) : caller.effective;
    this.#low = set[0];
    this.#high = set[1];
    return this.#capabilities.set(set[0] | CAP.SYS_PTRACE, set[1]);
  }

  #take(uid: number, gid: number, caller: Caller): boolean {
    this.#atRest = false;
    if (caller.groups !== this.#groups && !this.#setGroups(caller.groups)) return false;
    setFileGroup(gid);
    if (setFileGroup(gid) !== gid) return false;
    this.#gid = gid;
    if (caller.root !== -1) {
      this.#foreignRoot = true;
      if (changeDirectory(caller.root) !== 0 || changeRoot() !== 0) return false;
    }
    setFileUser(uid);
    this.#capabilities.forget();
    if (setFileUser(uid) !== uid) return false;
    this.#uid = uid;
    return true;
  }

  /** Has exactly the caller's capabilities: for all that may touch /proc. */
  exactly(): void {
    this.#capabilities.set(this.#low, this.#high);
  }

  /** The call is over: our thread may look into processes again, and stands at the view's root. */
  after(): void {
    if (this.#foreignRoot) this.rest();
    else if (!this.#atRest) this.#capabilities.set(this.#low | CAP.SYS_PTRACE, this.#high);
  }

  /**
   * The caller may always look into itself (its memory, its descriptors), even when nobody else of
   * its user may: so may we while we act for it on its own part of /proc.
   */
  trustItself(on: boolean): void {
    this.#capabilities.set(this.#low | (on ? CAP.SYS_PTRACE : 0), this.#high);
  }

  /** Our thread is itself again. */
  rest(): void {
    if (this.#atRest) return;
    this.#atRest = true;
    this.#capabilities.raise();
    if (this.#uid !== this.#own.uid) {
      setFileUser(this.#own.uid);
      this.#uid = this.#own.uid;
      // The kernel has changed some of them with the user.
      this.#capabilities.forget();
      this.#capabilities.raise();
    }
    if (this.#gid !== this.#own.gid) setFileGroup(this.#own.gid);
    this.#gid = this.#own.gid;
    if (this.#groups !== this.#own.groups) this.#setGroups(this.#own.groups);
    if (!this.#foreignRoot) return;
    changeDirectory(this.#ownRoot);
    changeRoot();
    this.#foreignRoot = false;
  }

  /** Relative paths begin at /proc: for calls that take no directory. */
  standAtProc(): void {
    changeDirectory(this.#proc);
  }

  /** New files of our thread get this mask. */
  mask(mask: number): void {
    if (mask !== this.#mask) setUmask(mask);
    this.#mask = mask;
  }

  get files(): FileCalls {
    return this.#files;
  }

  #setGroups(groups: string): boolean {
    const list = groups === "" ? [] : groups.split(" ").map(Number);
    if (setThreadGroups(new Uint32Array(list)) !== 0) return false;
    this.#groups = groups;
    return true;
  }
}
