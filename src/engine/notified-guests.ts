/** Rung C: what is decided about calls, told to guests that wait in a notification. */
import type { NotifyListener } from "../sys/index.ts";
import { VUCTL } from "../viewos/index.ts";
import type { Answer } from "./answer.ts";
import type { ControlDoor } from "./control-door.ts";
import type { OutsideConfig } from "./launch-outside.ts";
import { OutsideCalls } from "./outside-calls.ts";
import { callRemotely } from "./remote-call.ts";

export class NotifiedGuests {
  readonly #calls: OutsideCalls;
  readonly #door: ControlDoor;
  readonly #pass: bigint;

  constructor(config: OutsideConfig, door: ControlDoor) {
    this.#door = door;
    this.#calls = new OutsideCalls(config);
    this.#pass = BigInt(`0x${config.pass}`);
  }

  /** Performs one request, or leaves it to the kernel. */
  perform(request: NotifyListener): Answer {
    if (request.number === VUCTL) return this.#door.call(request.pid);
    const decision = this.#calls.decide(request);
    if (decision.kind !== "instead") return decision;
    const result = callRemotely(request, { placed: decision.placed, pass: this.#pass });
    if (result.kind === "refused") {
      decision.after(result.errno);
      return { kind: "done", errno: result.errno };
    }
    decision.after(result.kind === "returned" ? result.errno : 0);
    return { kind: "later" };
  }
}
