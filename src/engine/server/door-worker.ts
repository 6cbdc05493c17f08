/**
 * The door of the user's server: a thread that lets launchers in and keeps the views that make no
 * trapped call. Most views never do; so one thread waits for all of them, and a view gets a worker
 * of its own with its first call. From then on no other view can hold it up.
 */
import { fstatSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import {
  acceptSession,
  closeDescriptor,
  POLLIN,
  PollSet,
  receiveMessage,
  type SessionMessage,
} from "../../sys/index.ts";
import type { GroundId } from "../calls/grounds.ts";
import { explainFailure } from "../launch/launcher-answers.ts";
import {
  type AdoptedView,
  enteredGuest,
  factsOf,
  MESSAGE,
  valueOf,
  type ViewFacts,
} from "../launch/launch-steps.ts";
import type { WorkerCommand } from "../calls/worker-messages.ts";
import { FdStore } from "./fd-store.ts";
import { closeAdopted, keepNewView, type KeptGround } from "./kept-views.ts";

export interface DoorWorkerData {
  /** Session of the launcher that the server was started for; undefined: it takes over. */
  readonly session: number | undefined;
  /** Undefined: another server has the place; this one has the first view only. */
  readonly listening: number | undefined;
  /** `WorkerCommand`s and `AdoptCommand`s come here; closed: end. */
  readonly commands: number;
  /** Memory of the store. */
  readonly store: SharedArrayBuffer;
}

/** A quiet view of a server that is gone; its descriptors then belong to the door. */
export interface AdoptCommand {
  readonly kind: "adopt";
  readonly ground: string;
  readonly view: AdoptedView;
}

export type DoorEvent =
  /** A launcher waits on `session` for its cables in the network namespace of `pid`. */
  | {
      readonly kind: "network";
      readonly session: number;
      readonly pid: number;
      readonly standardError: number | undefined;
      readonly facts: ViewFacts;
    }
  /** A launcher that has its program waits to be let in. */
  | { readonly kind: "hello"; readonly session: number }
  /** A native launcher asks for its program. */
  | {
      readonly kind: "request";
      readonly session: number;
      readonly uid: number | undefined;
      readonly octets: Uint8Array;
    }
  /** An outermost view is complete; its descriptors stay here until "wake". */
  | {
      readonly kind: "entered";
      readonly session: number;
      readonly pid: number;
      readonly ground: GroundId;
      readonly userNamespace: bigint;
      readonly facts: ViewFacts;
      readonly view: AdoptedView;
      /** Undefined: nothing of it is in the store. */
      readonly kept: KeptGround | undefined;
    }
  /** A view's first call waits, or somebody who wants to enter it: it is the door's no more. */
  | { readonly kind: "wake"; readonly ground: GroundId }
  /** A view that made no call has ended; its descriptors are closed. */
  | { readonly kind: "left"; readonly ground: GroundId }
  /** The process that was watched for the view on that ground has ended. */
  | { readonly kind: "ended"; readonly ground: GroundId }
  /** A session has ended; the main thread, which may be about to answer, closes it. */
  | { readonly kind: "closed"; readonly session: number };

class Door {
  readonly #data: DoorWorkerData;
  readonly #sessions = new Set<number>();
  readonly #watchedProcesses = new Map<number, GroundId>();
  /** Listeners of quiet views, and sockets on which they may be entered. */
  readonly #quiet = new Map<number, GroundId>();
  readonly #views = new Map<GroundId, AdoptedView>();
  readonly #watched = new PollSet();
  readonly #store: FdStore;
  #changed = true;

  constructor(data: DoorWorkerData) {
    this.#data = data;
    this.#store = new FdStore(data.store);
    if (data.session !== undefined) this.#sessions.add(data.session);
  }

  run(): void {
    for (;;) {
      if (this.#changed) this.#watch();
      this.#watched.wait();
      if (this.#watched.events(0) !== 0 && !this.#obey()) return;
      for (let index = 1; index < this.#watched.size; index++) {
        const events = this.#watched.events(index);
        if (events !== 0) this.#serve(this.#watched.descriptor(index), events);
      }
    }
  }

  #watch(): void {
    const { commands, listening } = this.#data;
    // What ends is told before what begins, which may get the number of a namespace that has ended.
    this.#watched.replace([
      commands,
      ...this.#watchedProcesses.keys(),
      ...this.#quiet.keys(),
      ...(listening === undefined ? [] : [listening]),
      ...this.#sessions,
    ]);
    this.#changed = false;
  }

  #post(event: DoorEvent): void {
    parentPort!.postMessage(event);
  }

  /** Does what the main thread says; false: end. */
  #obey(): boolean {
    const message = receiveMessage(this.#data.commands);
    if (message === undefined) return false;
    this.#changed = true;
    const command = JSON.parse(new TextDecoder().decode(message.octets)) as
      | WorkerCommand
      | AdoptCommand;
    const ground = BigInt(command.ground);
    if (command.kind === "adopt") this.#adopt(ground, command.view);
    else if (command.kind === "watch") this.#watchedProcesses.set(command.descriptor, ground);
    // A view that is quiet no more has its socket from the main thread.
    else if (command.kind === "listen" && this.#views.has(ground)) {
      this.#quiet.set(command.descriptor, ground);
    }
    return true;
  }

  #serve(descriptor: number, events: number): void {
    const ground = this.#quiet.get(descriptor);
    if (ground !== undefined) this.#stir(descriptor, ground, events);
    else if (descriptor === this.#data.listening) {
      this.#changed = true;
      this.#sessions.add(acceptSession(descriptor));
    } else if (this.#watchedProcesses.has(descriptor)) {
      this.#changed = true;
      this.#post({ kind: "ended", ground: this.#watchedProcesses.get(descriptor)! });
      this.#watchedProcesses.delete(descriptor);
      closeDescriptor(descriptor);
    } else if (this.#sessions.has(descriptor)) this.#serveSession(descriptor);
  }

  /** Something happens in a quiet view. */
  #stir(descriptor: number, ground: GroundId, events: number): void {
    this.#changed = true;
    const view = this.#views.get(ground);
    const isOver = descriptor === view?.listener && (events & POLLIN) === 0;
    this.#views.delete(ground);
    for (const [one, of] of this.#quiet) if (of === ground) this.#quiet.delete(one);
    if (isOver) closeAdopted(view, this.#store);
    this.#post({ kind: isOver ? "left" : "wake", ground });
  }

  #serveSession(session: number): void {
    const message = receiveMessage(session);
    if (message === undefined) {
      this.#changed = true;
      this.#sessions.delete(session);
      this.#post({ kind: "closed", session });
      return;
    }
    const { octets, uid } = message;
    const value = valueOf(message);
    const pid = message.pid ?? value;
    switch (octets[0]) {
      case MESSAGE.hello:
        this.#post({ kind: "hello", session });
        break;
      case MESSAGE.request:
        this.#post({ kind: "request", session, uid, octets });
        break;
      case MESSAGE.network: {
        const [standardError] = message.descriptors;
        this.#post({ kind: "network", session, pid, standardError, facts: factsOf(message) });
        break;
      }
      case MESSAGE.listener:
        this.#enter(session, message, pid);
        break;
      case MESSAGE.failed:
      case MESSAGE.notExecuted:
        explainFailure(session, message, value);
        break;
      default:
        for (const descriptor of message.descriptors) closeDescriptor(descriptor);
    }
  }

  #enter(session: number, message: SessionMessage, pid: number): void {
    const guest = enteredGuest(message);
    if (guest === undefined) return;
    const { userNamespace } = guest;
    const ground = fstatSync(guest.view.mounts, { bigint: true }).ino;
    const facts = factsOf(message);
    const known = { ground: String(ground), userNamespace: String(userNamespace), pid, facts };
    const { notes, kept } = keepNewView(this.#store, guest.view, known) ?? {};
    const view = { ...guest.view, notes };
    this.#adopt(ground, view);
    this.#post({ kind: "entered", session, pid, ground, userNamespace, facts, view, kept });
  }

  #adopt(ground: GroundId, view: AdoptedView): void {
    this.#changed = true;
    this.#views.set(ground, view);
    this.#quiet.set(view.listener, ground);
  }
}

new Door(workerData as DoorWorkerData).run();
