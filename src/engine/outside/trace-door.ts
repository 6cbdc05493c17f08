/**
 * What comes to a tracer besides stops of its guests: launchers that want to be traced, commands of
 * the main thread, the modules' bell, and the answers of other threads. All of it is behind one
 * descriptor.
 */
import {
  acceptSession,
  closeDescriptor,
  Epoll,
  interrupt,
  namespaceId,
  READY,
  receiveMessage,
  seize,
  sendMessage,
  type SessionMessage,
  sessionPair,
  TRACE_OPTION,
} from "../../sys/index.ts";
import { reply } from "../calls/answer.ts";
import type { DistantAnswer } from "../calls/distant-call.ts";
import type {
  NotifyWorkerData,
  NotifyWorkerEvent,
  WorkerCommand,
} from "../calls/worker-messages.ts";
import type { ControlDoor } from "../control/control-door.ts";
import { explainFailure } from "../launch/launcher-answers.ts";
import { MESSAGE, valueOf } from "../launch/launch-steps.ts";
import type { StoppedCall } from "./stopped-call.ts";

const OPTIONS =
  TRACE_OPTION.SYSGOOD |
  TRACE_OPTION.FORK |
  TRACE_OPTION.VFORK |
  TRACE_OPTION.CLONE |
  TRACE_OPTION.EXEC |
  TRACE_OPTION.SECCOMP;

/** What the tracer does. */
export interface TraceDoorHelp {
  readonly post: (event: NotifyWorkerEvent) => void;
  readonly control: ControlDoor;
  readonly hearModules: () => void;
  /** The call with that id that has not been answered; undefined: its thread is gone. */
  readonly callBy: (id: bigint) => StoppedCall | undefined;
}

export class TraceDoor {
  /** Where other threads send their answers. */
  readonly answers: number;
  /** The main thread wants us to end. */
  isClosed = false;
  readonly #data: NotifyWorkerData;
  readonly #help: TraceDoorHelp;
  readonly #ready = new Epoll();
  readonly #answers: number;
  readonly #listening = new Set<number>();
  /** Sessions, and the launcher that has said that it is there. */
  readonly #sessions = new Map<number, number>();
  /** Undefined until the first launcher has said it. */
  #filtered: boolean | undefined;
  /** Launchers that are traced since the last `serve`. */
  #entered: number[] = [];

  constructor(data: NotifyWorkerData, help: TraceDoorHelp) {
    this.#data = data;
    this.#help = help;
    [this.answers, this.#answers] = sessionPair();
    for (const one of [data.commands, data.modules.bell, this.#answers]) this.#watch(one);
    if (data.listening !== undefined) this.#listenOn(data.listening);
    if (data.session !== undefined) this.#addSession(data.session);
  }

  /** Readable when there is something to serve. */
  get descriptor(): number {
    return this.#ready.fd;
  }

  /** The kernel stops guests only at the calls that matter. */
  get isFiltered(): boolean {
    return this.#filtered ?? false;
  }

  /** Somebody is about to enter. */
  get isExpected(): boolean {
    return this.#sessions.size > 0;
  }

  /** Serves what there is. @returns the launchers that are traced from now on */
  serve(): readonly number[] {
    this.#entered = [];
    const count = this.#ready.wait(0);
    const ready = Array.from({ length: count }, (_, event) => this.#ready.token(event));
    for (const descriptor of ready) this.#serve(descriptor);
    return this.#entered;
  }

  #watch(descriptor: number): void {
    this.#ready.add(descriptor, descriptor, READY.readable);
  }

  #listenOn(descriptor: number): void {
    this.#listening.add(descriptor);
    this.#watch(descriptor);
  }

  #addSession(session: number): void {
    this.#sessions.set(session, 0);
    this.#watch(session);
  }

  #serve(descriptor: number): void {
    if (descriptor === this.#data.modules.bell) this.#help.hearModules();
    else if (descriptor === this.#answers) this.#takeAnswer();
    else if (descriptor === this.#data.commands) this.#obey();
    else if (this.#listening.has(descriptor)) this.#addSession(acceptSession(descriptor));
    else if (this.#sessions.has(descriptor)) this.#serveSession(descriptor);
  }

  #obey(): void {
    const message = receiveMessage(this.#data.commands);
    if (message === undefined) {
      this.isClosed = true;
      return;
    }
    const command = JSON.parse(new TextDecoder().decode(message.octets)) as WorkerCommand;
    if (command.kind === "listen") this.#listenOn(command.descriptor);
    // There are no views inside that would stand by a process.
    else if (command.kind === "watch") closeDescriptor(command.descriptor);
  }

  /** Another thread has done what a call asks for. */
  #takeAnswer(): void {
    const message = receiveMessage(this.#answers);
    if (message === undefined) return;
    const [descriptor] = message.descriptors;
    const answer = JSON.parse(new TextDecoder().decode(message.octets)) as DistantAnswer;
    const call = this.#help.callBy(BigInt(answer.id));
    if (call === undefined) {
      if (descriptor !== undefined) closeDescriptor(descriptor);
      return;
    }
    if (answer.kind === "continue") reply(call, { kind: "continue" });
    else if (answer.kind === "value") {
      reply(call, { kind: "value", value: BigInt(answer.value) });
    } else reply(call, { ...answer, descriptor: descriptor! });
  }

  #serveSession(session: number): void {
    const message = receiveMessage(session);
    if (message === undefined) return this.#closeSession(session);
    const value = valueOf(message);
    switch (message.octets[0]) {
      case MESSAGE.traced:
        this.#sessions.set(session, message.pid ?? value);
        break;
      case MESSAGE.filtered:
        this.#trace(session, value === 0);
        break;
      case MESSAGE.control:
        this.#connect(message, value);
        break;
      case MESSAGE.failed:
      case MESSAGE.notExecuted:
        explainFailure(session, message, value);
        break;
      default:
        for (const descriptor of message.descriptors) closeDescriptor(descriptor);
    }
  }

  #closeSession(session: number): void {
    this.#sessions.delete(session);
    this.#ready.remove(session);
    closeDescriptor(session);
  }

  /** @param filtered its calls are picked by the kernel: with all processes of a view, or none */
  #trace(session: number, filtered: boolean): void {
    const pid = this.#sessions.get(session)!;
    const isLike = this.#filtered === undefined || this.#filtered === filtered;
    // Guests must not outlive who denies them files: the kernel would make the call that they are
    // stopped at and, where there is no filter, all others.
    const bound = this.#data.outside!.denies ? TRACE_OPTION.EXITKILL : 0;
    if (!isLike || seize(pid, OPTIONS | bound) !== 0) {
      // An empty answer is a failure to the launcher.
      sendMessage(session, new Uint8Array(0));
      return;
    }
    this.#filtered = filtered;
    interrupt(pid);
    this.#entered.push(pid);
    sendMessage(session, Uint8Array.of(1));
    this.#help.post({
      kind: "entered",
      pid,
      session,
      ground: namespaceId("self", "mnt")!,
      userNamespace: namespaceId("self", "user")!,
      facts: {},
    });
  }

  /** Somebody outside the view, who may open its session, wants the control socket. */
  #connect({ descriptors: [socket, ...others] }: SessionMessage, pid: number): void {
    for (const descriptor of others) closeDescriptor(descriptor);
    if (socket !== undefined) this.#help.control.take(socket, pid, undefined);
  }
}
