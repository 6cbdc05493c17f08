/**
 * Calls that name files, on their way to modules. The path engine finds the files first; the
 * modules' conditions are asked about the paths that these really have. When no module wants the
 * call it is performed at once, on those files; else it stops there, and is performed later, if the
 * files still have the paths that the module has decided about.
 */
import { ERRNO } from "../../base/index.ts";
import type { CallRequest } from "../../sys/index.ts";
import {
  absolutePath,
  type OtherPaths,
  type PathAct,
  type PathPolicy,
} from "../../viewos/index.ts";
import { type Answer, failure } from "../calls/answer.ts";
import { type CapturedPathCall, replacePath } from "../calls/captured-call.ts";
import type { DecidedPaths, ModuleSurroundings } from "./module-surroundings.ts";

/** An errno that no call fails with: the policy has stopped it. */
const STOPPED = 4095;
const AT_FDCWD = -100;

/** The files of a call. */
export interface NamedFiles {
  readonly path: string;
  readonly newPath?: string;
  /** As given, made absolute and nothing else: `..` and links are still in it. */
  readonly given: string;
  readonly newGiven?: string;
}

/** What the policy does about the call that is being performed. */
type Mode =
  /** Stops when somebody wants the files. */
  | { readonly kind: "offer"; readonly wants: (files: NamedFiles) => boolean }
  /** Stops when the files are others, or when it writes and was to read. */
  | { readonly kind: "check"; readonly files: NamedFiles; readonly writes: boolean }
  /** Another file was named: whatever it is. */
  | { readonly kind: "any" };

/** Asks the modules in the middle of a call. */
class ModulePolicy implements PathPolicy {
  mode: Mode = { kind: "any" };
  /** Paths that the call has been found to name, as the view has them. */
  found: string[] = [];
  /** How many it names. */
  count = 1;
  files: NamedFiles = { path: "", given: "" };
  root = "/";
  stopped = false;

  decide(act: PathAct, path: string): number {
    const real = Buffer.from(path, "latin1").toString("utf8");
    this.found.push(this.root === "/" ? real : absolutePath("/", `${this.root}/${real}`));
    if (this.found.length < this.count) return 0;
    this.stopped = this.#stops(act);
    return this.stopped ? STOPPED : 0;
  }

  #stops(act: PathAct): boolean {
    const { mode } = this;
    if (mode.kind === "any") return false;
    const files = this.real();
    if (mode.kind === "offer") return mode.wants(files);
    const same = files.path === mode.files.path && files.newPath === mode.files.newPath;
    return !same || (act.writes && !mode.writes);
  }

  /** The files as found; by their names where nothing was found. */
  real(): NamedFiles {
    const [path = this.files.path, newPath = this.files.newPath] = this.found;
    return { ...this.files, path, ...(newPath === undefined ? {} : { newPath }) };
  }
}

/** What comes of a call that is offered. */
export interface OfferedFiles {
  /** The answer to the caller; undefined: somebody wants the call. */
  readonly answer: Answer | undefined;
  readonly files: NamedFiles;
}

/** Performs the calls that modules may want. */
export class ModulePaths {
  readonly #surroundings: ModuleSurroundings;
  readonly #policy = new ModulePolicy();
  readonly #calls: DecidedPaths;

  constructor(surroundings: ModuleSurroundings) {
    this.#surroundings = surroundings;
    this.#calls = surroundings.pathsUnder(this.#policy);
  }

  /** A copy of a call that names files and that we can perform; undefined for any other. */
  capture(request: CallRequest): CapturedPathCall | undefined {
    const call = this.#calls.capture(request);
    if (call === undefined || call.shape.first.path === -1) return undefined;
    return call.copy();
  }

  /** Performs a call, unless somebody wants it. */
  offer(
    request: CallRequest,
    call: CapturedPathCall,
    wants: (files: NamedFiles) => boolean,
  ): OfferedFiles {
    const answer = this.#perform(request, call, { kind: "offer", wants });
    const files = this.#policy.real();
    if (this.#policy.stopped) return { answer: undefined, files };
    // A file that cannot be found may be one that a module makes up.
    const isFound = this.#policy.found.length === this.#policy.count;
    return { answer: isFound || !wants(files) ? answer : undefined, files };
  }

  /**
   * Performs a call after a decision.
   * @param writes the call may write
   * @returns undefined when it names other files by now than the decision was about
   */
  perform(
    request: CallRequest,
    call: CapturedPathCall,
    files: NamedFiles,
    writes: boolean,
    others: OtherPaths,
  ): Answer | undefined {
    const redirected = others.path !== undefined || others.newPath !== undefined;
    if (redirected) redirect(call, others);
    const mode: Mode = redirected ? { kind: "any" } : { kind: "check", files, writes };
    const answer = this.#perform(request, call, mode);
    return this.#policy.stopped ? undefined : answer;
  }

  #perform(request: CallRequest, call: CapturedPathCall, mode: Mode): Answer {
    const policy = this.#policy;
    const second = call.shape.second !== undefined;
    policy.mode = mode;
    policy.found = [];
    policy.count = second ? 2 : 1;
    policy.stopped = false;
    policy.root = this.#link(call.pid, "root");
    const given = this.#given(call.pid, call.first);
    policy.files = {
      given,
      path: absolutePath("/", given),
      ...(second ? this.#second(call) : {}),
    };
    if (mode.kind === "offer" && call.errno !== 0) return failure(call.errno);
    try {
      return this.#calls.perform(request, call);
    } finally {
      // We see only the calls that modules want: what a caller was may change unseen.
      this.#calls.forget();
    }
  }

  #second(call: CapturedPathCall): { readonly newPath: string; readonly newGiven: string } {
    const newGiven = this.#given(call.pid, call.second);
    return { newGiven, newPath: absolutePath("/", newGiven) };
  }

  #given(pid: number, { text, length, directory }: CapturedPathCall["first"]): string {
    const path = Buffer.from(text.octets.subarray(0, length)).toString("utf8");
    if (path.startsWith("/")) {
      return this.#policy.root === "/" ? path : `${this.#policy.root}${path}`;
    }
    const from = this.#link(pid, directory === AT_FDCWD ? "cwd" : `fd/${directory}`);
    return path === "" ? from : `${from === "/" ? "" : from}/${path}`;
  }

  #link(pid: number, name: string): string {
    return this.#surroundings.linkOf(pid, name) ?? "/";
  }
}

function redirect(call: CapturedPathCall, { path, newPath }: OtherPaths): void {
  for (const [place, text] of [
    [call.first, path],
    [call.second, newPath],
  ] as const) {
    // Without a path the call is about a descriptor: that file has been chosen.
    if (text === undefined || place.length === 0) continue;
    if (!replacePath(place, Buffer.from(text))) call.errno = ERRNO.ENAMETOOLONG;
  }
}
