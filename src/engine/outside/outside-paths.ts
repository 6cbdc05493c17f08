/**
 * Path calls of a view without namespaces, performed by its supervisor: their paths are led through
 * the view's mounts, the file is found on the host, a policy is asked under the name that the file
 * has in the view, and the call made on the file that was found. The kernel decides nothing about
 * a path that a policy is asked about.
 */
import { ERRNO } from "../../base/index.ts";
import { pathText, type CallRequest, type Standpoint } from "../../sys/index.ts";
import type { PathAct, PathPolicy } from "../../viewos/index.ts";
import type { Answer } from "../calls/answer.ts";
import type { DeputyCall } from "../calls/deputies.ts";
import { type CapturedPath, type CapturedPathCall, replacePath } from "../calls/captured-call.ts";
import { OUTSIDE_TRAPS } from "../launch/launch-outside.ts";
import { PathCalls } from "../paths/path-calls.ts";
import type { ReadPaths } from "./guest-paths.ts";
import type { Instead, OutsideCalls } from "./outside-calls.ts";
import type { PlacedArgument } from "./placed-arguments.ts";

/** What such a view does about calls that the supervisor cannot make for a guest. */
export type LedByGuest = (request: CallRequest, instead: Instead) => Answer;

export interface OutsidePathsOptions {
  readonly calls: OutsideCalls;
  readonly standpoint: Standpoint;
  /** Is asked about the real path of each file. */
  readonly onReal: PathPolicy | undefined;
  /** Is asked about the path of each file in the view. */
  readonly onViewed: PathPolicy;
  readonly lead: LedByGuest;
  readonly depute: (call: DeputyCall) => void;
}

/**
 * The word that lets a call pass the filter stands among the arguments of a guest that is led, and
 * the kernel shows them here while the call lasts.
 */
const ARGUMENTS_FILE = /^\/proc\/\d+\/(?:task\/\d+\/)?syscall$/;

/** Asks about a file under its name on the host and under the one in the view. */
class BothNames implements PathPolicy {
  readonly #options: OutsidePathsOptions;

  constructor(options: OutsidePathsOptions) {
    this.#options = options;
  }

  decide(act: PathAct, real: string): number {
    if (act.operation === "open" && ARGUMENTS_FILE.test(real)) return ERRNO.EACCES;
    const { calls, onReal, onViewed } = this.#options;
    const refusal = onReal?.decide(act, real) ?? 0;
    return refusal === 0 ? onViewed.decide(act, calls.viewPath(real)) : refusal;
  }
}

/** Performs path calls whole. */
export class OutsidePaths {
  readonly #options: OutsidePathsOptions;
  readonly #files: PathCalls;

  constructor(options: OutsidePathsOptions) {
    this.#options = options;
    const policy = new BothNames(options);
    this.#files = new PathCalls(options.standpoint, [{ calls: OUTSIDE_TRAPS }], policy);
    this.#files.leaveWaiting(options.depute);
  }

  /** Copies a call; undefined when it names no file. Good until the next capture. */
  capture(request: CallRequest): CapturedPathCall | undefined {
    return this.#files.capture(request);
  }

  /** Performs a captured call. */
  perform(request: CallRequest, captured: CapturedPathCall): Answer {
    const decision = this.#options.calls.decide(request, readFrom(captured));
    if (decision.kind === "continue") return this.#files.perform(request, captured);
    return decision.kind === "instead" ? this.instead(request, captured, decision) : decision;
  }

  /** Performs a captured call on the files that it is led to. */
  instead(request: CallRequest, captured: CapturedPathCall, decision: Instead): Answer {
    if (!lead(captured, decision.placed)) return { kind: "done", errno: ERRNO.ENAMETOOLONG };
    const answer = this.#files.perform(request, captured);
    // A mere name (O_PATH) has been decided about; only the guest itself can have it.
    if (answer.kind === "continue") return this.#options.lead(request, decision);
    decision.after(answer.kind === "done" ? answer.errno : 0);
    return answer;
  }

  /** Takes note of a call that changes who its caller is for files. */
  notice(request: CallRequest): void {
    this.#files.notice(request);
  }

  /** Our thread is itself again. */
  rest(): void {
    this.#files.rest();
  }

  /** Nothing is remembered. */
  forget(): void {
    this.#files.forget();
  }
}

/** The paths of a captured call; what could not be read is for the path engine to tell. */
function readFrom({ shape, first, second, errno }: CapturedPathCall): ReadPaths {
  const text = ({ text: { octets }, length }: CapturedPath): string =>
    pathText(octets.subarray(0, length));
  return {
    at: (argument) => {
      if (errno !== 0) return undefined;
      if (argument === shape.first.path) return text(first);
      return argument === shape.second?.path ? text(second) : undefined;
    },
  };
}

/** Gives a call other paths; false when it is about more than paths, or one is too long. */
function lead(call: CapturedPathCall, placed: readonly PlacedArgument[]): boolean {
  const { first, second } = call.shape;
  return placed.every(({ index, content }) => {
    if (!(content instanceof Uint8Array)) return false;
    const path = content.subarray(0, -1);
    if (index === first.path) return replacePath(call.first, path);
    return index === second?.path && replacePath(call.second, path);
  });
}
