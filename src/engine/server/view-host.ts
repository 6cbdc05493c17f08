/**
 * The main thread of the user's server: it has a supervisor for each outermost view, all in this
 * process, and a door that lets launchers in.
 */
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { closeDescriptor, sendMessage, sessionPair } from "../../sys/index.ts";
import type { AdoptCommand, DoorEvent, DoorWorkerData } from "./door-worker.ts";
import { FdStore } from "./fd-store.ts";
import { type KeptListener, keepPlace, type KeptView, takeKept, ViewFile } from "./kept-views.ts";
import type { GroundId } from "../calls/grounds.ts";
import type { Interpreter, LaunchAnswers } from "../launch/launch-answer.ts";
import { answerNetwork } from "../launch/launcher-answers.ts";
import type { AdoptedView } from "../launch/launch-steps.ts";
import type { MoreOfView, NotifyWorkerEvent, WorkerCommand } from "../calls/worker-messages.ts";
import { forgetView } from "./run-directory.ts";
import { SPAWNED_SESSION, type SupervisorConfig } from "../start.ts";
import {
  idleMs,
  placeOf,
  programIdentity,
  type ServerPlace,
  takeServerPlace,
} from "./view-server.ts";

type Entered = Extract<DoorEvent, { kind: "entered" }>;

/** What a supervisor needs of the process that hosts it. */
export interface SupervisorHost {
  readonly userNamespace: bigint;
  /** Keeps what another server needs to take over. */
  readonly store: FdStore;
  /** Tells the door about a view that has no worker. */
  tellDoor(command: WorkerCommand): void;
  /** The supervisor has ended its view. */
  over(): void;
}

/** A supervisor of an outermost view in the server's process. */
export interface HostedSupervisor {
  on(event: NotifyWorkerEvent | Extract<DoorEvent, { kind: "ended" }>): Promise<void>;
  /** The cables of the view that a session has made are pulled out when it ends. */
  keepCables(session: number, unplug: () => void): void;
  /** Gives the view a worker. */
  wake(view: AdoptedView, more?: MoreOfView): void;
  /** Goes on with views of a server that is gone, by the numbers of their files. */
  restore(views: ReadonlyMap<number, KeptView>): void;
  endView(): void;
  endEmpty(): void;
}

/** Makes a supervisor. */
export type HostedSupervisorMaker = (
  config: SupervisorConfig,
  host: SupervisorHost,
) => HostedSupervisor;

/** The user's server. */
export class ViewHost {
  readonly #config: SupervisorConfig;
  readonly #make: HostedSupervisorMaker;
  readonly #place: ServerPlace | undefined;
  readonly #store = new FdStore();
  readonly #identity = programIdentity();
  readonly #commands: number;
  readonly #views = new Map<GroundId, { supervisor: HostedSupervisor; view: AdoptedView }>();
  /** Cables of views that are not complete, by the session that makes them. */
  readonly #cables = new Map<number, () => void>();
  /** What is still to be done for a session. */
  readonly #turns = new Map<number, Promise<void>>();
  /** Names that were claimed for launchers which have not come back. */
  readonly #claimed = new Map<number, string>();
  #isFirst = true;
  #idle: NodeJS.Timeout | undefined;
  /** Made when the first view has begun, so that the second does not wait for it. */
  #answers: Promise<LaunchAnswers> | undefined;

  constructor(config: SupervisorConfig, make: HostedSupervisorMaker) {
    this.#config = config;
    this.#make = make;
    // Before anything else is opened: what is open is the last server's.
    const left = FdStore.isResumed(SPAWNED_SESSION) ? takeKept(this.#store) : undefined;
    this.#place = left?.place === undefined ? takeServerPlace() : placeOf(left.place);
    if (this.#place !== undefined && left?.place === undefined) {
      keepPlace(this.#store, this.#place.listening);
    }
    const [commands, theirs] = sessionPair();
    this.#commands = commands;
    const workerData: DoorWorkerData = {
      session: left === undefined ? SPAWNED_SESSION : undefined,
      listening: this.#place?.listening,
      commands: theirs,
      store: this.#store.memory,
    };
    const file = fileURLToPath(new URL("./door-worker.js", import.meta.url));
    const door = new Worker(file, { workerData, trackUnmanagedFds: false });
    door.on("message", (event: DoorEvent) => this.#inTurn(event));
    door.on("error", (error) => {
      process.stderr.write(`${error.stack ?? error.message}\n`);
      this.#end(1);
    });
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
      process.on(signal, () => this.#end(0));
    }
    if (left === undefined) return;
    this.#isFirst = false;
    this.#takeOver(left.views, left.listeners);
    this.#store.hasTakenOver();
    this.#stayForAWhile();
  }

  /** Goes on with the views of the last server. */
  #takeOver(views: ReadonlyMap<number, KeptView>, listeners: readonly KeptListener[]): void {
    for (const outermost of views.values()) {
      const { ground, mounts, names } = outermost;
      if (outermost.parent !== undefined) continue;
      const ours = new Map([...views].filter(([, view]) => view.outermost === ground));
      const inside = [...ours.values()].filter((view) => view !== outermost);
      const grounds = inside.map((view) => {
        const around = [...ours.values()].find(({ id }) => id === view.parent) ?? outermost;
        const within = { user: BigInt(view.userNamespace), parent: BigInt(around.ground) };
        return { mounts: view.mounts, names: view.names, within };
      });
      const known = new Set([...ours.values()].map((view) => view.ground));
      const [first, ...others] = listeners.filter((one) => known.has(String(one.ground)));
      if (first === undefined) {
        // Its last process has ended meanwhile.
        for (const [number, view] of ours) ViewFile.of(this.#store, number, view).forget(view);
        continue;
      }
      const view = { listener: first.listener, mounts, names, notes: first.notes };
      const supervisor = this.#supervise(BigInt(ground), BigInt(outermost.userNamespace), view);
      if (first.isQuiet && others.length + grounds.length === 0) {
        this.#tell({ kind: "adopt", ground, view });
      } else supervisor.wake(view, { listeners: others, grounds });
      supervisor.restore(ours);
    }
  }

  /** What concerns one session is done in turn; sessions and views do not wait for each other. */
  #inTurn(event: DoorEvent): void {
    // A view is entered after all else of its session, and before it ends.
    if (!("session" in event) || event.kind === "entered") return void this.#on(event);
    const { session } = event;
    const before = this.#turns.get(session) ?? Promise.resolve();
    this.#turns.set(
      session,
      before.then(() => this.#on(event)),
    );
  }

  async #on(event: DoorEvent): Promise<void> {
    switch (event.kind) {
      case "network":
        await answerNetwork(event, event.facts.net ?? [], (unplug) => {
          this.#cables.set(event.session, unplug);
        });
        break;
      case "hello":
        sendMessage(event.session, this.#isOutdated ? new Uint8Array(0) : Uint8Array.of(1));
        break;
      case "request":
        await this.#answer(event);
        break;
      case "entered":
        this.#enter(event);
        break;
      case "wake": {
        const entry = this.#views.get(event.ground);
        entry?.supervisor.wake(entry.view);
        break;
      }
      case "ended":
        await this.#views.get(event.ground)?.supervisor.on(event);
        break;
      case "left":
        this.#views.get(event.ground)?.supervisor.endEmpty();
        break;
      case "closed":
        this.#forgetSession(event.session);
    }
    this.#stayForAWhile();
  }

  /** The server ends when it has had no view for some time; without the place, at once. */
  #stayForAWhile(): void {
    clearTimeout(this.#idle);
    if (this.#views.size > 0) return;
    const isNeeded = this.#isFirst || (this.#place !== undefined && !this.#isOutdated);
    const ms = isNeeded ? idleMs(process.env) : 0;
    this.#idle = setTimeout(() => this.#end(0), ms);
  }

  /** The program on disk is not ours any more: the place is for a server that runs it. */
  get #isOutdated(): boolean {
    if (programIdentity() === this.#identity) return false;
    this.#place?.leave();
    return true;
  }

  #enter(event: Entered): void {
    const { facts, ground, userNamespace, session, view, kept, pid } = event;
    if (this.#isFirst && this.#config.interpreter !== undefined) {
      this.#answers ??= makeAnswers(this.#config.interpreter);
    }
    this.#isFirst = false;
    this.#claimed.delete(session);
    const supervisor = this.#supervise(ground, userNamespace, view);
    const unplug = this.#cables.get(session);
    this.#cables.delete(session);
    if (unplug !== undefined) supervisor.keepCables(session, unplug);
    void supervisor.on({ kind: "entered", session, pid, ground, userNamespace, facts, kept });
  }

  /** Makes the supervisor of an outermost view. */
  #supervise(ground: GroundId, userNamespace: bigint, view: AdoptedView): HostedSupervisor {
    const { rung } = this.#config;
    const engine = rung === undefined ? {} : { rung };
    const config = { name: undefined, net: [], lifeline: undefined, traps: {}, ...engine };
    const supervisor = this.#make(config, {
      userNamespace,
      store: this.#store,
      tellDoor: (command) => this.#tell(command),
      over: () => {
        // The kernel has perhaps given the number to a new view, which has entered meanwhile.
        if (this.#views.get(ground)?.supervisor === supervisor) this.#views.delete(ground);
        this.#stayForAWhile();
      },
    });
    this.#views.set(ground, { supervisor, view });
    return supervisor;
  }

  #tell(command: WorkerCommand | AdoptCommand): void {
    sendMessage(this.#commands, new TextEncoder().encode(JSON.stringify(command)));
  }

  /** A native launcher gets its program; an octet means: not here. */
  async #answer(event: Extract<DoorEvent, { kind: "request" }>): Promise<void> {
    let answer: Uint8Array = Uint8Array.of(0);
    const { interpreter } = this.#config;
    const isOwn = event.uid === process.geteuid!();
    if (interpreter !== undefined && isOwn && !this.#isOutdated) {
      this.#answers ??= makeAnswers(interpreter);
      const launch = (await this.#answers).answer(event.octets);
      if (launch?.name !== undefined) this.#claimed.set(event.session, launch.name);
      answer = launch?.octets ?? answer;
    }
    sendMessage(event.session, answer);
  }

  /** A launcher that has gone without making its view leaves nothing. */
  #forgetSession(session: number): void {
    const name = this.#claimed.get(session);
    if (name !== undefined) forgetView(name);
    this.#claimed.delete(session);
    this.#cables.get(session)?.();
    this.#cables.delete(session);
    this.#turns.delete(session);
    closeDescriptor(session);
  }

  #end(code: number): never {
    this.#place?.leave();
    for (const { supervisor } of this.#views.values()) supervisor.endView();
    this.#store.end();
    closeDescriptor(this.#commands);
    process.exit(code);
  }
}

async function makeAnswers(interpreter: string): Promise<LaunchAnswers> {
  const { LaunchAnswers } = await import("../launch/launch-answer.ts");
  const { interpret } = (await import(interpreter)) as { interpret: Interpreter };
  return new LaunchAnswers(interpret);
}
