/**
 * The supervisor's blocking half: a worker thread that stands in the view's mount and UTS
 * namespaces, takes sessions from launchers, and answers trapped calls. It never touches Node's
 * event loop.
 */
import { fstatSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import { ERRNO } from "../../base/index.ts";
import {
  acceptSession,
  type CallRequest,
  closeDescriptor,
  type NotifyListener,
  POLLIN,
  PollSet,
  receiveMessage,
  sendMessage,
  type SessionMessage,
  Standpoint,
} from "../../sys/index.ts";
import { VUSESSION } from "../../viewos/index.ts";
import { type Answer, failure, reply } from "./answer.ts";
import { CallServices } from "./call-services.ts";
import { type GroundId, Grounds } from "./grounds.ts";
import { explainFailure } from "../launch/launcher-answers.ts";
import {
  type AdoptedView,
  enteredGuest,
  factsOf,
  MESSAGE,
  valueOf,
} from "../launch/launch-steps.ts";
import { Nesting } from "./nesting.ts";
import type { NotifyWorkerData, NotifyWorkerEvent, WorkerCommand } from "./worker-messages.ts";
import { FdStore } from "../server/fd-store.ts";
import { dropListener, keepListener, notifyListener } from "../server/kept-views.ts";

class NotifyLoop {
  readonly #data: NotifyWorkerData;
  /** Sessions, and the view whose name they have come by. */
  readonly #sessions = new Map<number, GroundId | undefined>();
  readonly #listeners = new Map<number, NotifyListener>();
  readonly #store: FdStore | undefined;
  /** Sockets by which views are entered, and the views; undefined: the outermost one. */
  readonly #listening = new Map<number, GroundId | undefined>();
  /** Grounds by the pidfds that their views stand by. */
  readonly #watchedProcesses = new Map<number, GroundId>();
  /** Views by the listener that their first process brought along. */
  readonly #outermost = new Map<number, GroundId>();
  /** Views by the session that is making them. */
  readonly #unborn = new Map<number, GroundId>();
  readonly #standpoint = new Standpoint();
  readonly #grounds = new Grounds();
  readonly #nesting: Nesting;
  readonly #watched = new PollSet();
  /** A session or a listener came or went since the last wait was prepared. */
  #changed = true;
  readonly #services: CallServices;

  readonly #perform = (request: CallRequest): Answer => {
    if (request.number !== VUSESSION) return this.#services.perform(request);
    this.#services.paths?.rest();
    // A view without namespaces has none that another could be made in.
    if (this.#data.outside !== undefined) return failure(ERRNO.ENOSYS);
    const outermost = this.#outermost.get(request.descriptor);
    const { answer, session } = this.#nesting.open(request, outermost);
    if (session !== undefined) this.#sessions.set(session, undefined);
    this.#changed = true;
    return answer;
  };

  constructor(data: NotifyWorkerData) {
    this.#data = data;
    if (data.store !== undefined) this.#store = new FdStore(data.store);
    this.#nesting = new Nesting(this.#grounds, this.#standpoint, this.#store);
    const grounds = this.#grounds;
    this.#services = new CallServices(data, {
      standpoint: this.#standpoint,
      grounds,
      post: (event) => this.#post(event),
      groundOf: (pid) => grounds.of(pid, this.#standpoint)?.mnt,
    });
    if (data.session !== undefined) this.#sessions.set(data.session, undefined);
    if (data.adopted !== undefined) this.#adopt(data.adopted);
    const more = data.more ?? { grounds: [], listeners: [] };
    for (const { mounts, names, within } of more.grounds) grounds.add(mounts, names, within);
    for (const { listener, notes, ground } of more.listeners) this.#listen(listener, notes, ground);
    if (data.listening !== undefined) this.#listening.set(data.listening, undefined);
  }

  /** Runs until no process of a view is left, or until told to stop. */
  run(): void {
    try {
      for (const listener of this.#listeners.values()) this.#takeOver(listener);
      this.#loop();
    } finally {
      // The process goes on with other views; callers that wait get ENOSYS from now on.
      if (this.#data.adopted !== undefined) this.#release();
    }
  }

  #release(): void {
    this.#grounds.release();
    this.#standpoint.close();
    for (const session of this.#sessions.keys()) this.#nesting.close(session);
    for (const descriptor of [
      this.#data.commands,
      ...this.#listening.keys(),
      ...this.#sessions.keys(),
      ...this.#watchedProcesses.keys(),
    ]) {
      closeDescriptor(descriptor);
    }
    for (const listener of this.#listeners.values()) this.#close(listener);
  }

  #loop(): void {
    while (this.#sessions.size > 0 || this.#listeners.size > 0) {
      if (this.#changed) this.#watch();
      if (this.#watched.wait(this.#patienceMs()) === 0) {
        this.#services.modules.expire();
        this.#services.paths?.forget();
      }
      if (this.#watched.events(0) !== 0 && !this.#obey()) return;
      // Before any call: what has been inserted or removed counts from then on.
      if (this.#watched.events(1) !== 0) this.#services.hearModules();
      for (let index = 2; index < this.#watched.size; index++) {
        const events = this.#watched.events(index);
        if (events !== 0) this.#serve(this.#watched.descriptor(index), events);
      }
    }
    this.#post({ kind: "empty" });
  }

  /** How long a wait may last: until a module is late, or the path calls forget. */
  #patienceMs(): number {
    const [late, forget] = [
      this.#services.modules.waitMs(),
      this.#services.paths?.forgetAfterMs ?? -1,
    ];
    if (late === -1 || forget === -1) return Math.max(late, forget);
    return Math.min(late, forget);
  }

  #watch(): void {
    this.#watched.replace([
      this.#data.commands,
      this.#data.modules.bell,
      ...this.#listening.keys(),
      ...this.#sessions.keys(),
      ...this.#watchedProcesses.keys(),
      ...this.#listeners.keys(),
    ]);
    this.#services.relief.publish(this.#listeners.keys());
    this.#changed = false;
  }

  #post(event: NotifyWorkerEvent): void {
    parentPort!.postMessage(event);
  }

  #serve(descriptor: number, events: number): void {
    const listener = this.#listeners.get(descriptor);
    if (listener !== undefined) this.#serveListener(listener, events);
    else {
      this.#services.paths?.rest();
      this.#changed = true;
      if (this.#listening.has(descriptor)) {
        this.#sessions.set(acceptSession(descriptor), this.#listening.get(descriptor));
      } else if (this.#watchedProcesses.has(descriptor)) this.#processEnded(descriptor);
      else this.#serveSession(descriptor);
    }
  }

  /** Does what the main thread says; false: end. */
  #obey(): boolean {
    const message = receiveMessage(this.#data.commands);
    if (message === undefined) return false;
    this.#services.paths?.rest();
    this.#changed = true;
    const command = JSON.parse(new TextDecoder().decode(message.octets)) as WorkerCommand;
    if (command.kind === "listen") {
      this.#listening.set(command.descriptor, BigInt(command.ground));
    } else if (command.kind === "watch") {
      this.#watchedProcesses.set(command.descriptor, BigInt(command.ground));
    } else this.#grounds.remove(BigInt(command.ground));
    return true;
  }

  #processEnded(descriptor: number): void {
    this.#post({ kind: "ended", ground: this.#watchedProcesses.get(descriptor)! });
    this.#watchedProcesses.delete(descriptor);
    closeDescriptor(descriptor);
  }

  #serveListener(listener: NotifyListener, events: number): void {
    if ((events & POLLIN) !== 0) {
      if (listener.receive()) this.#answer(listener);
      return;
    }
    // Only the hang-up is left: the last process under this filter is gone.
    this.#changed = true;
    this.#listeners.delete(listener.descriptor);
    this.#outermost.delete(listener.descriptor);
    this.#close(listener);
  }

  #close({ descriptor, notes }: NotifyListener): void {
    closeDescriptor(descriptor);
    if (notes === undefined) return;
    if (this.#store !== undefined) dropListener(this.#store, notes.memory);
    notes.memory.close();
  }

  /**
   * Answers what another process has taken before it was killed. Nobody knows how far it came with
   * a call that it had begun.
   */
  #takeOver(listener: NotifyListener): void {
    const { notes } = listener;
    if (notes === undefined) return;
    for (const id of notes.left()) listener.requestBy(id).fail(ERRNO.EINTR);
    if (listener.id === 0n) return;
    if (notes.isBegun) listener.fail(ERRNO.EINTR);
    else if (listener.isValid()) this.#answer(listener);
  }

  #answer(request: NotifyListener): void {
    request.begin();
    reply(request, this.#services.answer(request, this.#perform));
  }

  #serveSession(session: number): void {
    const message = receiveMessage(session);
    if (message === undefined) {
      this.#sessions.delete(session);
      this.#unborn.delete(session);
      this.#nesting.close(session);
      closeDescriptor(session);
      return;
    }
    const value = valueOf(message);
    const pid = message.pid ?? value;
    switch (message.octets[0]) {
      case MESSAGE.network:
        this.#post({
          kind: "network",
          session,
          pid,
          standardError: message.descriptors[0],
          facts: factsOf(message),
        });
        break;
      case MESSAGE.listener:
        this.#enter(session, message, pid);
        break;
      case MESSAGE.request:
        // In a view Node makes the next one: it knows how the user is numbered there.
        sendMessage(session, Uint8Array.of(0));
        break;
      case MESSAGE.nested: {
        const event = this.#nesting.admit(session, message);
        if (event === undefined) break;
        this.#unborn.set(session, event.ground);
        this.#post(event);
        break;
      }
      case MESSAGE.born: {
        const ground = this.#unborn.get(session);
        if (ground !== undefined) this.#post({ kind: "born", ground });
        break;
      }
      case MESSAGE.control:
        this.#connect(message, value, this.#sessions.get(session));
        break;
      case MESSAGE.failed:
      case MESSAGE.notExecuted:
        explainFailure(session, message, value);
        break;
      default:
        for (const descriptor of message.descriptors) closeDescriptor(descriptor);
    }
  }

  /** A guest is in: keep its listener, and the view's namespaces when they are new. */
  #enter(session: number, message: SessionMessage, pid: number): void {
    const guest = enteredGuest(message);
    if (guest === undefined) return;
    const { userNamespace } = guest;
    const inode = fstatSync(guest.view.mounts, { bigint: true }).ino;
    const notes = this.#store && keepListener(this.#store, inode, guest.view.listener);
    const ground = this.#adopt({ ...guest.view, notes }, pid);
    const facts = factsOf(message);
    this.#post({ kind: "entered", pid, session, ground, userNamespace, facts });
  }

  #adopt({ listener, mounts, names, notes }: AdoptedView, pid?: number): GroundId {
    const held = this.#grounds.add(mounts, names);
    const ground = held.mnt;
    if (pid !== undefined) this.#services.service?.enter(held, pid, pid);
    this.#listen(listener, notes, ground);
    return ground;
  }

  #listen(listener: number, notes: number | undefined, ground: GroundId): void {
    const guests = notifyListener(listener, notes);
    guests.takeTurns();
    this.#listeners.set(listener, guests);
    this.#outermost.set(listener, ground);
  }

  /** Somebody outside the view, who may open its session, wants the control socket. */
  #connect(
    { descriptors: [socket, ...others] }: SessionMessage,
    pid: number,
    ground: GroundId | undefined,
  ): void {
    for (const descriptor of others) closeDescriptor(descriptor);
    if (socket !== undefined) this.#services.door.take(socket, pid, ground);
  }
}

new NotifyLoop(workerData as NotifyWorkerData).run();
