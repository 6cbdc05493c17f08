/**
 * Captures of a running switch: the packet thread copies frames into a ring, a file or FIFO gets
 * them here (capture-file.ts). A capture is started and stopped at any time; its reader may be slow
 * or leave, the switch does not notice.
 */
import { ERRNO, type ErrnoName, V2Error } from "../base/index.ts";
import {
  type CaptureInfo,
  type CaptureManagement,
  printScope,
  type SwitchModel,
  type TapScope,
  VLAN_CREATE_MAX,
} from "../vde/index.ts";
import { CaptureFile } from "./capture-file.ts";
import type { SwitchThread } from "./switch-thread.ts";

/** Captures of one switch at a time; each has a ring of its own. */
const CAPTURES_MAX = 16;

export interface ThreadCapturesOptions {
  readonly model: SwitchModel;
  readonly thread: SwitchThread;
  readonly log: (line: string) => void;
}

interface Running {
  readonly id: number;
  readonly path: string;
  readonly scope: TapScope;
  readonly file: CaptureFile;
}

/** The captures of a switch as its console asks for them. */
export class ThreadCaptures implements CaptureManagement {
  readonly #options: ThreadCapturesOptions;
  readonly #running = new Map<number, Running>();
  #nextId = 1;

  constructor(options: ThreadCapturesOptions) {
    this.#options = options;
  }

  list(): readonly CaptureInfo[] {
    return [...this.#running.values()].map(infoOf);
  }

  async start(path: string, scope: TapScope, isForOneReader: boolean): Promise<number> {
    const error = path === "" ? ERRNO.EINVAL : this.#check(scope);
    if (error !== 0) return -error;
    const captures = [...this.#running.values()];
    if (captures.some((capture) => capture.path === path)) return -ERRNO.EEXIST;
    if (captures.length >= CAPTURES_MAX) return -ERRNO.ENOSPC;
    const id = this.#nextId++;
    try {
      const file = new CaptureFile(path, {
        isForOneReader,
        onReaderGone: () => this.#readerGone(id, isForOneReader),
      });
      await this.adopt(file, scope, id);
      if (file.isOver) {
        await this.stop(id);
        return -ERRNO.ENXIO;
      }
    } catch (cause) {
      if (!(cause instanceof V2Error)) throw cause;
      return -(ERRNO[cause.code as ErrnoName] ?? ERRNO.EIO);
    }
    return id;
  }

  /** Takes a capture over that is open already. */
  async adopt(file: CaptureFile, scope: TapScope, id: number = this.#nextId++): Promise<void> {
    this.#running.set(id, { id, path: file.path, scope, file });
    await this.#options.thread.capture({ id, memory: file.ring.memory, scope });
  }

  async stop(id: number): Promise<CaptureInfo | number> {
    const capture = this.#running.get(id);
    if (capture === undefined) return ERRNO.ENOENT;
    this.#running.delete(id);
    await this.#options.thread.endCapture(id);
    await capture.file.close();
    return infoOf(capture);
  }

  /** Writes what was seen and closes every file. */
  async close(): Promise<void> {
    const captures = [...this.#running.values()];
    this.#running.clear();
    await Promise.all(captures.map(({ file }) => file.close()));
  }

  #check({ port, vlan }: TapScope): number {
    const { portsMax, vlans } = this.#options.model;
    if (port !== undefined) return port < 0 || port > portsMax ? ERRNO.EINVAL : 0;
    if (vlan === undefined) return 0;
    if (vlan < 0 || vlan > VLAN_CREATE_MAX) return ERRNO.EINVAL;
    return vlans.exists(vlan) ? 0 : ERRNO.ENXIO;
  }

  #readerGone(id: number, isOver: boolean): void {
    const capture = this.#running.get(id);
    if (capture === undefined) return;
    const { path, scope } = capture;
    this.#options.log(`capture of ${printScope(scope)}: '${path}' takes no more`);
    if (isOver) void this.stop(id);
  }
}

function infoOf({ id, path, scope, file }: Running): CaptureInfo {
  return {
    id,
    path,
    scope,
    written: file.written,
    dropped: file.ring.dropped,
    unread: file.unread,
  };
}
