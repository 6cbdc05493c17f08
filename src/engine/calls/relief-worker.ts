/**
 * A thread that serves a view's path calls while the others are blocked; see relief.ts. It stands
 * on the same ground as the first; views inside that view, and new ones, wait for the first.
 */
import { openSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import {
  namespaceId,
  namespacePath,
  NotifyListener,
  POLLIN,
  PollSet,
  Standpoint,
} from "../../sys/index.ts";
import { reply } from "./answer.ts";
import { ConnectionCount, ControlDoor } from "../control/control-door.ts";
import { Grounds } from "./grounds.ts";
import type { NotifyWorkerEvent } from "./worker-messages.ts";
import { PathService } from "../paths/path-service.ts";
import type { PathTraps } from "../paths/path-traps.ts";
import { Relief } from "./relief.ts";
import { SharedSettings } from "../control/shared-settings.ts";
import { TrappedCalls } from "./trapped-calls.ts";
import { NO_SETTINGS } from "../control/view-settings.ts";

export interface ReliefWorkerData {
  readonly memory: SharedArrayBuffer;
  readonly seat: number;
  readonly paths: PathTraps;
  /** A process of the view. */
  readonly pid: number;
  readonly connections: SharedArrayBuffer;
  readonly settings: SharedArrayBuffer;
}

/** How soon a thread that is not needed any more notices. */
const LOOK_AGAIN_MS = 20;

class ReliefLoop {
  readonly #relief: Relief;
  readonly #calls: TrappedCalls;
  readonly #watched = new PollSet();
  readonly #listeners = new Map<number, NotifyListener>();

  constructor(data: ReliefWorkerData) {
    const { pid } = data;
    this.#relief = new Relief(data.memory, data.seat);
    const [mounts, names] = (["mnt", "uts"] as const).map((kind) =>
      openSync(namespacePath(pid, kind), "r"),
    );
    const standpoint = new Standpoint();
    const grounds = new Grounds();
    const door = new ControlDoor(new ConnectionCount(data.connections), (descriptor, caller) => {
      const ground = namespaceId(caller, "mnt");
      const event: NotifyWorkerEvent = { kind: "control", descriptor, pid: caller, ground };
      parentPort!.postMessage(event);
    });
    const settings = new SharedSettings(NO_SETTINGS, data.settings);
    const paths = new PathService(standpoint, grounds, data.paths, this.#relief);
    paths.enter(grounds.add(mounts!, names!), pid, undefined);
    this.#calls = new TrappedCalls(standpoint, grounds, { door, settings }, paths);
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
