/**
 * The debug log of a view (vudebug): lines of what the engine does with calls, by category. Nothing
 * is described as long as nobody listens.
 */
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import {
  closeDescriptor,
  GuestMemory,
  type CallRequest,
  replaceDescriptor,
  waitWritable,
} from "../../sys/index.ts";
import {
  argumentsText,
  captureArguments,
  type ControlReply,
  type ControlRequest,
  quoteOctets,
  SyscallTable,
  VUCTL,
} from "../../viewos/index.ts";
import type { Answer } from "../calls/answer.ts";
import type { SharedSettings } from "./shared-settings.ts";
import { resultText } from "../calls/tracer.ts";
import type { DebugSettings, ViewSettings } from "./view-settings.ts";

/** Parents of a process that are looked at; a longer line of descent is not followed. */
const ANCESTORS_MAX = 64;
const MODULE_OPERATIONS: ReadonlySet<string> = new Set(["insmod", "rmmod", "lsmod", "attach"]);
const COLOUR_END = "\u001B[0m";

/** Writes the lines; each thread of a supervisor has its own on the same descriptor. */
export class DebugLog {
  readonly descriptor: number;
  readonly #settings: SharedSettings<ViewSettings>;
  /** Opens what the host's process file system says of a process. */
  readonly #openProc: (path: string) => number;
  readonly #tables = new Map<number, SyscallTable>();
  readonly #memory = new GuestMemory();

  /**
   * @param descriptor where lines go; undefined: nowhere yet
   * @param openProc default: by the path of this thread
   */
  constructor(
    settings: SharedSettings<ViewSettings>,
    descriptor: number = openSync("/dev/null", "w"),
    openProc: (path: string) => number = (path) => openSync(`/proc/${path}`, "r"),
  ) {
    this.#settings = settings;
    this.descriptor = descriptor;
    this.#openProc = openProc;
  }

  /** Lines go to that file from now on, on all threads; the descriptor is taken over. */
  writeTo(descriptor: number): void {
    replaceDescriptor(descriptor, this.descriptor);
    closeDescriptor(descriptor);
  }

  /** Is a category logged at all? The cheap question, before anything is described. */
  get isOn(): boolean {
    const { debug } = this.#settings.value;
    return debug.tags !== "" || debug.processes.length > 0;
  }

  /** Is a category logged of this process? */
  wants(tag: string, pid: number): boolean {
    const { debug } = this.#settings.value;
    if (debug.tags.includes(tag)) return true;
    const asked = debug.processes.filter(({ tags }) => tags.includes(tag));
    return asked.length > 0 && this.#descends(pid, asked);
  }

  /** Writes a line of a category about a process, if it is logged. */
  log(tag: string, pid: number, text: string): void {
    const { debug } = this.#settings.value;
    if (this.wants(tag, pid)) this.#write(tag, debug, `${tag} ${pid} ${text}`);
  }

  /** Logs a trapped call and what it came to; to be called before the reply. */
  call(request: CallRequest, answer: Answer): void {
    const { pid } = request;
    const name = this.#name(request);
    const described = this.wants("s", pid) || this.wants("p", pid);
    const { text, paths } = described ? this.#describe(request, name) : { text: "", paths: [] };
    this.log("s", pid, text + resultText(answer));
    for (const path of paths) this.log("p", pid, `${name}: ${path}`);
    this.log("c", pid, `${name}: ${answer.kind === "continue" ? "the kernel" : "the view"}`);
    this.log("a", pid, `${name}: ${answer.kind}`);
  }

  /** Logs what was asked by the control socket about modules. */
  request({ op, args }: ControlRequest, pid: number, reply: ControlReply): void {
    if (!MODULE_OPERATIONS.has(op) || !this.wants("m", pid)) return;
    const outcome = reply.ok ? "done" : reply.error.message;
    this.log(
      "m",
      pid,
      `${op} ${typeof args["module"] === "string" ? args["module"] : ""}: ${outcome}`,
    );
  }

  #table(arch: number): SyscallTable {
    const known = this.#tables.get(arch) ?? new SyscallTable(arch);
    this.#tables.set(arch, known);
    return known;
  }

  #name(request: CallRequest): string {
    if (request.number === VUCTL) return "vuctl";
    return this.#table(request.arch).numbered(request.number)?.name ?? `call ${request.number}`;
  }

  #describe(
    request: CallRequest,
    name: string,
  ): { readonly text: string; readonly paths: readonly string[] } {
    const { pid, arch, number } = request;
    const call = number === VUCTL ? undefined : this.#table(arch).numbered(number);
    if (call === undefined) return { text: `${name}()`, paths: [] };
    const { arguments: kinds } = call;
    const captured = captureArguments(kinds, request, {
      string: (address, limit) => this.#memory.string(pid, address, limit),
      octets: (address, length) => this.#memory.octets(pid, address, length),
    });
    const paths = captured.flatMap((found, index) =>
      kinds[index] === "path" && found instanceof Uint8Array ? [quoteOctets(found)] : [],
    );
    return { text: name + argumentsText(kinds, request, captured), paths };
  }

  /** The caller waits, so its line of descent stands still as far as it matters. */
  #descends(pid: number, of: readonly { readonly pid: number }[]): boolean {
    for (let at = pid, i = 0; at > 1 && i < ANCESTORS_MAX; i++) {
      const status = this.#status(at);
      if (status === undefined) return false;
      if (of.some((asked) => asked.pid === status.process)) return true;
      at = status.parent;
    }
    return false;
  }

  #status(pid: number): { readonly process: number; readonly parent: number } | undefined {
    try {
      const fd = this.#openProc(`${pid}/status`);
      if (fd < 0) return undefined;
      const text = readFileSync(fd, "utf8");
      closeSync(fd);
      const field = (name: string) =>
        Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(text)?.[1]);
      return { process: field("Tgid"), parent: field("PPid") };
    } catch {
      return undefined;
    }
  }

  #write(tag: string, { colours }: DebugSettings, text: string): void {
    const colour = Object.hasOwn(colours, tag) ? colours[tag]! : "";
    const line = colour === "" ? `${text}\n` : `${colour}${text}${COLOUR_END}\n`;
    try {
      writeSync(this.descriptor, line);
    } catch (error) {
      // Nobody reads the log any more: guests go on without it.
      if ((error as NodeJS.ErrnoException).code === "EAGAIN") waitWritable(this.descriptor);
    }
  }
}
