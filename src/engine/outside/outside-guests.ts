/**
 * The guests of a view without namespaces: what is decided about their calls, and performed in
 * their place. They wait in a notification (rung C) or stopped by their tracer (rung D).
 */
import type { CallRequest, Standpoint } from "../../sys/index.ts";
import {
  AUDIT_ARCH_I386,
  AUDIT_ARCH_X86_64,
  type PathPolicy,
  trappedCalls,
  trapsOf,
  VUCTL,
} from "../../viewos/index.ts";
import type { Answer } from "../calls/answer.ts";
import type { DeputyCall } from "../calls/deputies.ts";
import type { ControlDoor } from "../control/control-door.ts";
import type { OutsideConfig } from "../launch/launch-outside.ts";
import { policyOf } from "../paths/path-service.ts";
import type { PathTraps } from "../paths/path-traps.ts";
import { OutsideCalls } from "./outside-calls.ts";
import { outsideTree } from "./outside-copy.ts";
import type { CopiedTree, ModuleMount } from "../modules/module-mounts.ts";
import { type LedByGuest, OutsidePaths } from "./outside-paths.ts";
import type { SharedSettings } from "../control/shared-settings.ts";
import { meantType, type ViewSettings } from "../control/view-settings.ts";

/** What the thread that serves the guests lends. */
export interface OutsideGuestsHelp {
  readonly door: ControlDoor;
  readonly settings: SharedSettings<ViewSettings>;
  readonly standpoint: Standpoint;
  /** Calls that are answered even where no mount matters, and the files that are denied. */
  readonly paths: PathTraps | undefined;
  /** Has a deputy perform what may wait for another process. */
  readonly depute: (call: DeputyCall) => void;
  /** Has the guest itself make a call on other files. */
  readonly lead: LedByGuest;
}

const LETS_ALL: PathPolicy = { decide: () => 0 };

export class OutsideGuests {
  readonly #help: OutsideGuestsHelp;
  readonly #calls: OutsideCalls;
  readonly #traced: boolean;
  readonly #denies: PathPolicy | undefined;
  readonly #paths: OutsidePaths;
  /** Numbers of the calls that are answered even where no mount matters, by architecture. */
  readonly #answered = new Map<number, ReadonlySet<number>>();

  constructor(config: OutsideConfig, help: OutsideGuestsHelp) {
    const { settings, paths } = help;
    this.#help = help;
    this.#denies = paths && policyOf(paths);
    const meant = (type: string): string => meantType(settings.value, type);
    this.#calls = new OutsideCalls(config, meant, config.denies);
    this.#traced = config.traced;
    this.#paths = this.pathsUnder(this.#denies ?? LETS_ALL);
    if (paths === undefined) return;
    for (const arch of [AUDIT_ARCH_X86_64, AUDIT_ARCH_I386]) {
      const calls = trappedCalls(trapsOf(paths.calls), arch);
      this.#answered.set(arch, new Set(calls.map(({ number }) => number)));
    }
  }

  /** Performs path calls whole, after what is denied has been denied and a policy asked. */
  pathsUnder(policy: PathPolicy): OutsidePaths {
    const { standpoint, depute, lead } = this.#help;
    return new OutsidePaths({
      calls: this.#calls,
      standpoint,
      onReal: this.#denies,
      onViewed: policy,
      lead,
      depute,
    });
  }

  /** See `ModuleMounts`. */
  treeFor(request: CallRequest, mount: ModuleMount): CopiedTree | number {
    return outsideTree(this.#calls, request, mount);
  }

  /** They stand where we stand. */
  standWith(): undefined {
    return undefined;
  }

  /** What a link of a process (`cwd`, `fd/3`) says in the view; undefined when it is gone. */
  linkOf(pid: number, name: string): string | undefined {
    return this.#calls.linkOf(pid, name);
  }

  /** Performs one request, or leaves it to the kernel. */
  perform(request: CallRequest): Answer {
    if (request.number === VUCTL) return this.#help.door.call(request.pid);
    if (this.#answered.get(request.arch)?.has(request.number) === true) {
      const captured = this.#paths.capture(request);
      if (captured !== undefined) return this.#paths.perform(request, captured);
    }
    const decision = this.#calls.decide(request);
    if (decision.kind !== "instead") {
      this.#paths.notice(request);
      return decision;
    }
    // A guest that is stopped already is led sooner than a descriptor is handed to it.
    const captured = this.#traced ? undefined : this.#paths.capture(request);
    if (captured === undefined) return this.#help.lead(request, decision);
    return this.#paths.instead(request, captured, decision);
  }

  /** struct utsname as the view has it. */
  names(): Uint8Array {
    return this.#calls.names();
  }

  /** Our thread is itself again: before others take a caller's place. */
  rest(): void {
    this.#paths.rest();
  }

  /** What callers are is read with each call: there is nothing to forget after a time. */
  get forgetAfterMs(): number {
    return -1;
  }

  /** Nothing is remembered of callers. */
  forget(): void {
    this.#paths.forget();
  }
}
