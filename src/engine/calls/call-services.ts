/**
 * Everything that has a say in what comes of a guest's call: modules and their mounts, the path
 * engine, the control socket's door, the trace and the debug log. One for the thread that takes the
 * calls of a view, however it comes by them.
 */
import type { CallRequest, Standpoint } from "../../sys/index.ts";
import { ConnectionCount, ControlDoor } from "../control/control-door.ts";
import { DebugLog } from "../control/debug-log.ts";
import { SharedSettings } from "../control/shared-settings.ts";
import { NO_SETTINGS } from "../control/view-settings.ts";
import { ModuleCalls } from "../modules/module-calls.ts";
import { ModuleMounts } from "../modules/module-mounts.ts";
import type { Answer } from "./answer.ts";
import { type Answering, type AnsweringHelp, answeringOf } from "./answering.ts";
import type { DeputyCall } from "./deputies.ts";
import type { GroundId, Grounds } from "./grounds.ts";
import type { NotifyWorkerData, NotifyWorkerEvent } from "./worker-messages.ts";
import { Relief } from "./relief.ts";
import { Tracer } from "./tracer.ts";

/** What the thread lends. */
export interface CallServicesHelp {
  readonly standpoint: Standpoint;
  readonly grounds: Grounds;
  readonly post: (event: NotifyWorkerEvent) => void;
  /** The view that a process is in. */
  readonly groundOf: (pid: number) => GroundId | undefined;
  /** See `answeringOf`. */
  readonly lead?: AnsweringHelp["lead"];
}

export class CallServices {
  readonly door: ControlDoor;
  readonly relief: Relief;
  readonly modules: ModuleCalls;
  /** Answers path calls from the ground of the first view, if anybody does. */
  readonly service: Answering["service"];
  /** What has laid down rights of our thread, or keeps directories busy. */
  readonly paths: Answering["paths"];
  readonly #calls: Answering["calls"];
  readonly #mounts: ModuleMounts;
  readonly #tracer: Tracer | undefined;
  readonly #debug: DebugLog;
  readonly #depute: (call: DeputyCall) => void;

  constructor(data: NotifyWorkerData, help: CallServicesHelp) {
    const { standpoint, grounds, post, groundOf, lead } = help;
    this.#depute = (call) => post({ kind: "deputy", call });
    this.door = new ControlDoor(new ConnectionCount(data.connections), (descriptor, pid, asked) => {
      post({ kind: "control", descriptor, pid, ground: asked ?? groundOf(pid) });
    });
    this.relief = new Relief(data.relief);
    const settings = new SharedSettings(NO_SETTINGS, data.settings);
    const { door, relief } = this;
    const shared = { standpoint, grounds, door, settings, relief, lead };
    const answering = answeringOf(data, { ...shared, depute: this.#depute });
    const { calls, service, surroundings } = answering;
    this.service = service;
    this.paths = answering.paths;
    this.#calls = calls;
    this.#mounts = new ModuleMounts({
      standpoint,
      grounds,
      settings,
      beforeMount: () => this.paths?.forget(),
      post,
      treeFor: (request, mount) => surroundings.treeFor(request, mount),
    });
    this.modules = new ModuleCalls({
      ...data.modules,
      mounts: this.#mounts,
      standpoint,
      grounds,
      surroundings,
      perform: (request) => this.performOwn(request),
      depute: this.#depute,
      onLate: (homes) => post({ kind: "late", homes }),
    });
    this.#debug = new DebugLog(settings, data.debug, (path) => standpoint.openProc(path));
    const { trace } = data.traps;
    if (trace !== undefined) this.#tracer = new Tracer(trace, data.traceTo);
  }

  /** The bell of the modules has rung. */
  hearModules(): void {
    this.paths?.rest();
    this.modules.hear();
    // Only this thread asks the modules: no other may answer in its place any more.
    if (this.modules.isEmpty) return;
    this.relief.retire();
    this.service?.leaveWaiting(this.#depute);
  }

  /** What comes of a call, written down where that is asked for; to be told its caller then. */
  answer(request: CallRequest, perform: (request: CallRequest) => Answer): Answer {
    const traced = this.#tracer?.capture(request);
    const answer = perform(request);
    if (traced !== undefined) this.#tracer?.write(request, traced, answer);
    if (this.#debug.isOn) this.#debug.call(request, answer);
    return answer;
  }

  /** Asks the modules, then performs the call. */
  perform(request: CallRequest): Answer {
    return this.#offer(request) ?? this.performOwn(request);
  }

  /** Performs a call as if there were no handlers. */
  performOwn(request: CallRequest): Answer {
    return this.#mounts.perform(request, (own) => this.#calls.perform(own));
  }

  /** Takes a call that a module wants. */
  #offer(request: CallRequest): Answer | undefined {
    if (this.modules.isEmpty) return undefined;
    this.paths?.rest();
    return this.modules.offer(request);
  }
}
