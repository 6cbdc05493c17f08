/**
 * A thread that serves a view's path calls while the others are blocked; see relief.ts. It stands
 * in the same namespaces as the first.
 */
import { workerData } from "node:worker_threads";
import {
  CLONE,
  joinNamespace,
  namespaceId,
  NotifyListener,
  POLLIN,
  PollSet,
  Standpoint,
} from "../sys/index.ts";
import { reply } from "./answer.ts";
import { pathCallsOf } from "./path-service.ts";
import type { PathTraps } from "./path-traps.ts";
import { Relief } from "./relief.ts";
import { TrappedCalls } from "./trapped-calls.ts";

export interface ReliefWorkerData {
  readonly memory: SharedArrayBuffer;
  readonly seat: number;
  readonly paths: PathTraps;
  /** Thread of the supervisor that stands in the view. */
  readonly first: number;
}

/** How soon a thread that is not needed any more notices. */
const LOOK_AGAIN_MS = 20;

class ReliefLoop {
  readonly #relief: Relief;
  readonly #calls: TrappedCalls;
  readonly #watched = new PollSet();
  readonly #listeners = new Map<number, NotifyListener>();

  constructor({ memory, seat, paths, first }: ReliefWorkerData) {
    this.#relief = new Relief(memory, seat);
    const standpoint = new Standpoint();
    const [mnt, uts] = [namespaceId(first, "mnt")!, namespaceId(first, "uts")!];
    if (namespaceId(first, "net") !== namespaceId("thread-self", "net")) {
      joinNamespace(first, "net", CLONE.NEWNET);
    }
    joinNamespace(first, "uts", CLONE.NEWUTS);
    joinNamespace(first, "mnt", CLONE.NEWNS);
    const calls = pathCallsOf(standpoint, paths, this.#relief);
    this.#calls = new TrappedCalls(standpoint, { mnt, uts }, calls);
  }

  /** For ever. */
  run(): never {
    for (;;) {
      this.#relief.awaitDuty();
      while (this.#relief.isOnDuty()) this.#serve();
      this.#listeners.clear();
    }
  }

  #serve(): void {
    this.#watched.replace(this.#relief.listeners());
    this.#watched.wait(LOOK_AGAIN_MS);
    for (let index = 0; index < this.#watched.size; index++) {
      if ((this.#watched.events(index) & POLLIN) === 0) continue;
      const listener = this.#listener(this.#watched.descriptor(index));
      // The first thread may be back, and take it before us.
      if (listener.receive()) reply(listener, this.#calls.perform(listener));
    }
  }

  #listener(descriptor: number): NotifyListener {
    let listener = this.#listeners.get(descriptor);
    if (listener === undefined) {
      listener = new NotifyListener(descriptor);
      this.#listeners.set(descriptor, listener);
    }
    return listener;
  }
}

new ReliefLoop(workerData as ReliefWorkerData).run();
