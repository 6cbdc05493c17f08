/**
 * What a supervisor has taken from a listener and not answered, in memory that survives it: the
 * kernel keeps no list of that, and a call of which nobody knows waits for ever. The kernel itself
 * writes the request here (SECCOMP_IOCTL_NOTIF_RECV fills our buffer before a signal can kill us),
 * so there is no moment in which a call was taken and is not noted. What was answered need not be
 * crossed out: an identity is never used again, and answering an old one fails.
 */
import { SharedMemory } from "./shared-memory.ts";

/** Octets: a head for the owner, the request with a word behind it, identities. */
const LAYOUT = { request: 64, begun: 80, later: 256 } as const;
/** struct seccomp_notif and the word. */
const REQUEST_OCTETS = 88;
/** Calls that may be left for later at once. */
const LATER_MAX = 4096;
const ID_OCTETS = 8;

/** Notes of one listener. */
export class CallNotes {
  readonly memory: SharedMemory;
  /** Where the kernel puts the request that is taken now. */
  readonly request: Pick<SharedMemory, "octets" | "view" | "address">;
  #next = 0;

  constructor(memory: SharedMemory) {
    this.memory = memory;
    const { request } = LAYOUT;
    const octets = memory.octets.subarray(request, request + REQUEST_OCTETS);
    const view = new DataView(octets.buffer, octets.byteOffset, octets.length);
    this.request = { octets, view, address: memory.address + request };
  }

  /** New ones, all empty. @param name of the file */
  static make(name: string): CallNotes {
    return new CallNotes(SharedMemory.make(name, LAYOUT.later + LATER_MAX * ID_OCTETS));
  }

  /** Nothing has ever been noted. */
  get isEmpty(): boolean {
    return this.request.octets.every((octet) => octet === 0) && this.#later(0) === 0n;
  }

  /** From now on the current request may have had an effect. */
  begin(): void {
    this.request.view.setUint32(LAYOUT.begun, 1, true);
  }

  /** May the current request have had an effect? */
  get isBegun(): boolean {
    return this.request.view.getUint32(LAYOUT.begun, true) !== 0;
  }

  /**
   * Notes a request that is answered after others were taken.
   * @param isOver tells whether an older one is answered, whose place can be taken
   */
  leave(id: bigint, isOver: (older: bigint) => boolean): void {
    for (let tries = 0; tries < LATER_MAX; tries++) {
      const index = this.#next;
      this.#next = (index + 1) % LATER_MAX;
      const older = this.#later(index);
      if (older !== 0n && !isOver(older)) continue;
      this.memory.view.setBigUint64(LAYOUT.later + index * ID_OCTETS, id, true);
      return;
    }
  }

  /** Requests that were left for later; most of them are answered. */
  left(): bigint[] {
    const ids: bigint[] = [];
    for (let index = 0; index < LATER_MAX; index++) {
      const id = this.#later(index);
      if (id === 0n) break;
      ids.push(id);
    }
    return ids;
  }

  #later(index: number): bigint {
    return this.memory.view.getBigUint64(LAYOUT.later + index * ID_OCTETS, true);
  }
}
