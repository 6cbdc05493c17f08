/**
 * The supervisor's blocking half: a worker thread that stands in the view's mount and UTS
 * namespaces, takes sessions from launchers, and answers trapped calls. It never touches Node's
 * event loop.
 */
import { fstatSync, writeSync } from "node:fs";
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { ERRNO, errnoText, EXIT } from "../base/index.ts";
import {
  acceptSession,
  CLONE,
  closeDescriptor,
  NotifyListener,
  POLLIN,
  PollSet,
  receiveMessage,
  sendMessage,
  type SessionMessage,
  setns,
  Standpoint,
} from "../sys/index.ts";
import { reply } from "./answer.ts";
import { MESSAGE, MESSAGE_HEADER_OCTETS } from "./launch-steps.ts";
import { ModuleCalls } from "./module-calls.ts";
import { type TraceOptions, Tracer } from "./tracer.ts";
import { TrappedCalls } from "./trapped-calls.ts";

/** ENOSPC of unshare(2) has nothing to do with disks. */
const LIMIT_HINT =
  "\n    a limit of namespaces is reached; 'v2 doctor' tells which, and how to lift it";

export interface NotifyWorkerData {
  /** The first launcher's session. */
  readonly session: number;
  /** Listening socket for further sessions; undefined: the view has no name to be entered by. */
  readonly listening: number | undefined;
  /** Readable or closed: end. */
  readonly stop: number;
  /** To the main thread, and the bell that tells of messages on it and of modules' decisions. */
  readonly modules: { readonly control: MessagePort; readonly bell: number };
  readonly trace: { readonly options: TraceOptions; readonly descriptor: number } | undefined;
}

export type NotifyWorkerEvent =
  /** A guest waits on `session` for its cables in the network namespace of `pid`. */
  | {
      readonly kind: "network";
      readonly session: number;
      readonly pid: number;
      readonly standardError: number | undefined;
    }
  /** A guest with that pid has installed its filter. */
  | { readonly kind: "entered"; readonly pid: number }
  /** A module has not decided a call in time. */
  | { readonly kind: "late" }
  /** No process of the view is left. */
  | { readonly kind: "empty" };

class NotifyLoop {
  readonly #data: NotifyWorkerData;
  readonly #sessions = new Set<number>();
  readonly #listeners = new Map<number, NotifyListener>();
  readonly #watched = new PollSet();
  /** A session or a listener came or went since the last wait was prepared. */
  #changed = true;
  readonly #tracer: Tracer | undefined;
  readonly #modules: ModuleCalls;
  #calls: TrappedCalls | undefined;

  constructor(data: NotifyWorkerData) {
    this.#data = data;
    if (data.trace !== undefined) {
      this.#tracer = new Tracer(data.trace.options, data.trace.descriptor);
    }
    this.#modules = new ModuleCalls({
      ...data.modules,
      perform: (request) => this.#calls!.perform(request),
      onLate: () => this.#post({ kind: "late" }),
    });
    this.#sessions.add(data.session);
  }

  /** Runs until no process of the view is left, or until told to stop. */
  run(): void {
    while (this.#sessions.size > 0 || this.#listeners.size > 0) {
      if (this.#changed) this.#watch();
      if (this.#watched.wait(this.#modules.waitMs()) === 0) this.#modules.expire();
      if (this.#watched.events(0) !== 0) return;
      // Before any call: what has been inserted or removed counts from then on.
      if (this.#watched.events(1) !== 0) this.#modules.hear();
      for (let index = 2; index < this.#watched.size; index++) {
        const events = this.#watched.events(index);
        if (events !== 0) this.#serve(this.#watched.descriptor(index), events);
      }
    }
    this.#post({ kind: "empty" });
  }

  #watch(): void {
    const { listening, stop, modules } = this.#data;
    const fixed = [stop, modules.bell, ...(listening === undefined ? [] : [listening])];
    this.#watched.replace([...fixed, ...this.#sessions, ...this.#listeners.keys()]);
    this.#changed = false;
  }

  #post(event: NotifyWorkerEvent): void {
    parentPort!.postMessage(event);
  }

  #serve(descriptor: number, events: number): void {
    const listener = this.#listeners.get(descriptor);
    if (listener !== undefined) this.#serveListener(listener, events);
    else {
      this.#changed = true;
      if (descriptor === this.#data.listening) this.#sessions.add(acceptSession(descriptor));
      else this.#serveSession(descriptor);
    }
  }

  #serveListener(listener: NotifyListener, events: number): void {
    if ((events & POLLIN) !== 0) {
      if (listener.receive()) this.#answer(listener);
      return;
    }
    // Only the hang-up is left: the last process under this filter is gone.
    this.#changed = true;
    this.#listeners.delete(listener.descriptor);
    closeDescriptor(listener.descriptor);
  }

  #answer(request: NotifyListener): void {
    const traced = this.#tracer?.capture(request);
    const answer = this.#modules.offer(request) ?? this.#calls!.perform(request);
    if (traced !== undefined) this.#tracer?.write(request, traced, answer);
    reply(request, answer);
  }

  #serveSession(session: number): void {
    const message = receiveMessage(session);
    if (message === undefined) {
      this.#sessions.delete(session);
      closeDescriptor(session);
      return;
    }
    const view = new DataView(message.octets.buffer, message.octets.byteOffset);
    const value = message.octets.length >= MESSAGE_HEADER_OCTETS ? view.getUint32(1, true) : 0;
    switch (message.octets[0]) {
      case MESSAGE.network:
        this.#post({ kind: "network", session, pid: value, standardError: message.descriptors[0] });
        break;
      case MESSAGE.listener:
        this.#enter(message, value);
        break;
      case MESSAGE.failed:
      case MESSAGE.notExecuted:
        this.#explain(session, message, value);
        break;
      default:
        for (const descriptor of message.descriptors) closeDescriptor(descriptor);
    }
  }

  /** A guest is in: keep its listener; the first one also leads us into the view's namespaces. */
  #enter(message: SessionMessage, pid: number): void {
    const [listener, mounts, names] = message.descriptors;
    if (listener === undefined || mounts === undefined || names === undefined) return;
    if (this.#calls === undefined) {
      const standpoint = new Standpoint();
      const mnt = fstatSync(mounts, { bigint: true }).ino;
      const uts = fstatSync(names, { bigint: true }).ino;
      setns(names, CLONE.NEWUTS);
      setns(mounts, CLONE.NEWNS);
      this.#calls = new TrappedCalls(standpoint, { mnt, uts });
      this.#modules.enter(standpoint);
    }
    closeDescriptor(mounts);
    closeDescriptor(names);
    this.#listeners.set(listener, new NotifyListener(listener));
    this.#post({ kind: "entered", pid });
  }

  /** A launcher failed: say why on its standard error and tell it its exit code. */
  #explain(session: number, message: SessionMessage, errno: number): void {
    const label = new TextDecoder().decode(message.octets.subarray(MESSAGE_HEADER_OCTETS));
    const [standardError] = message.descriptors;
    if (standardError !== undefined) {
      try {
        // Without an errno the reason has been told before (the network).
        const hint = errno === ERRNO.ENOSPC && label.endsWith("namespaces") ? LIMIT_HINT : "";
        if (errno !== 0)
          writeSync(standardError, `v2 view: ${label}: ${errnoText(errno)}${hint}\n`);
      } catch {
        // Nobody reads the launcher's standard error: the exit code still tells.
      }
      closeDescriptor(standardError);
    }
    // 127 is about the command alone: a mount on a directory that is missing is a 126.
    const isMissing = message.octets[0] === MESSAGE.notExecuted && errno === ERRNO.ENOENT;
    const code = isMissing ? EXIT.commandNotFound : EXIT.cannotExecute;
    const answer = new Uint8Array(4);
    new DataView(answer.buffer).setInt32(0, code, true);
    sendMessage(session, answer);
  }
}

new NotifyLoop(workerData as NotifyWorkerData).run();
