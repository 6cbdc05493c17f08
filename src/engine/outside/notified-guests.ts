/** Rung C: what is decided about calls, told to guests that wait in a notification. */
import { statSync } from "node:fs";
import type { NotifyListener, Standpoint } from "../../sys/index.ts";
import { VUCTL } from "../../viewos/index.ts";
import type { Answer } from "../calls/answer.ts";
import type { CapturedPath, CapturedPathCall } from "../calls/captured-call.ts";
import type { ControlDoor } from "../control/control-door.ts";
import { OUTSIDE_TRAPS, type OutsideConfig } from "../launch/launch-outside.ts";
import { type Instead, OutsideCalls } from "./outside-calls.ts";
import { PathCalls } from "../paths/path-calls.ts";
import type { PlacedArgument } from "./placed-arguments.ts";
import type { SharedSettings } from "../control/shared-settings.ts";
import { meantType, type ViewSettings } from "../control/view-settings.ts";
import { callRemotely } from "./remote-call.ts";

/** What the thread that serves the guests lends. */
export interface NotifiedGuestsHelp {
  readonly door: ControlDoor;
  readonly settings: SharedSettings<ViewSettings>;
  readonly standpoint: Standpoint;
}

export class NotifiedGuests {
  readonly #calls: OutsideCalls;
  readonly #door: ControlDoor;
  readonly #pass: bigint;
  /** Performs calls on files in mounts. */
  readonly #files: PathCalls;

  constructor(config: OutsideConfig, { door, settings, standpoint }: NotifiedGuestsHelp) {
    this.#door = door;
    this.#calls = new OutsideCalls(config, (type) => meantType(settings.value, type));
    this.#pass = BigInt(`0x${config.pass}`);
    this.#files = new PathCalls(standpoint, [{ calls: OUTSIDE_TRAPS }]);
  }

  /** Performs one request, or leaves it to the kernel. */
  perform(request: NotifyListener): Answer {
    if (request.number === VUCTL) return this.#door.call(request.pid);
    const decision = this.#calls.decide(request);
    if (decision.kind === "instead") return this.#instead(request, decision);
    this.#files.notice(request);
    return decision;
  }

  /** struct utsname as the view has it. */
  names(): Uint8Array {
    return this.#calls.names();
  }

  #instead(request: NotifyListener, instead: Instead): Answer {
    const { placed, after } = instead;
    const captured = this.#files.capture(request);
    if (captured?.shape.operation === "open" && isFifo(placed)) {
      // Its other end may be opened by nobody for long: the guest waits by itself.
      callRemotely(request, { ...instead, pass: this.#pass, unattended: true });
      return { kind: "later" };
    }
    if (captured !== undefined && lead(captured, placed)) {
      const answer = this.#files.perform(request, captured);
      if (answer.kind !== "continue") {
        after(answer.kind === "done" ? answer.errno : 0);
        return answer;
      }
    }
    // A change of directory, a program, a descriptor of a mere name: only the guest can do it.
    const result = callRemotely(request, { ...instead, pass: this.#pass });
    if (result.kind === "refused") {
      after(result.errno);
      return { kind: "done", errno: result.errno };
    }
    after(result.kind === "returned" ? result.errno : 0);
    return { kind: "later" };
  }
}

function isFifo([path]: readonly PlacedArgument[]): boolean {
  if (!(path?.content instanceof Uint8Array)) return false;
  const found = Buffer.from(path.content.subarray(0, -1));
  try {
    return statSync(found, { throwIfNoEntry: false })?.isFIFO() === true;
  } catch {
    return false;
  }
}

/** Gives a call other paths; false when it is about more than paths. */
function lead(call: CapturedPathCall, placed: readonly PlacedArgument[]): boolean {
  const { first, second } = call.shape;
  return placed.every(({ index, content }) => {
    if (!(content instanceof Uint8Array)) return false;
    if (index === first.path) return put(call.first, content);
    return index === second?.path && put(call.second, content);
  });
}

function put(path: CapturedPath, octets: Uint8Array): boolean {
  if (octets.length > path.text.octets.length) return false;
  path.text.octets.set(octets);
  path.length = octets.length - 1;
  return true;
}
