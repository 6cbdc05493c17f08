/**
 * The trace of a view: a line for each call of the asked classes, as strace(1) writes it or as
 * JSON. A trace sees calls before the kernel performs them and lets them through; so it knows the
 * result only of those that the view answers itself. It decides nothing.
 */
import { writeSync } from "node:fs";
import { errnoName, errnoText } from "../base/index.ts";
import { GuestMemory, type NotifyListener, waitWritable } from "../sys/index.ts";
import {
  type ArgumentReader,
  argumentsText,
  argumentValues,
  AUDIT_ARCH_I386,
  AUDIT_ARCH_X86_64,
  type Captured,
  captureArguments,
  type Syscall,
  SyscallTable,
  type Trap,
  trappedCalls,
} from "../viewos/index.ts";
import type { Answer } from "./trapped-calls.ts";

/** What is traced, and how it is written. */
export interface TraceOptions {
  /** Classes, groups of classes, or calls. */
  readonly calls: readonly string[];
  readonly json: boolean;
  /**
   * Lines are gathered and written while the guests run: for a file. Otherwise each is written
   * before its call is performed, so that a terminal shows cause before effect.
   */
  readonly gathered: boolean;
}

/** Classes of a trace that names none. */
export const TRACED_BY_DEFAULT: readonly string[] = ["path", "exec", "mount", "names", "socket"];

const EXITS = ["exit", "exit_group"];

/** The traps of a trace. A process that ends waits until its lines are in the file. */
export function traceTraps({ calls, gathered }: TraceOptions): readonly Trap[] {
  return [{ calls: gathered ? [...calls, ...EXITS] : calls }];
}

/** Gathered lines are written when that many octets have come together … */
const GATHERED_OCTETS_MAX = 1 << 16;
/** … or when no call has come for that long. */
const GATHERED_MS_MAX = 20;

/** A call whose arguments have been read from its caller's memory. */
export interface TracedCall {
  readonly call: Syscall;
  readonly captured: readonly Captured[];
}

/** What is traced of one architecture. */
interface Wanted {
  readonly calls: ReadonlyMap<number, Syscall>;
  readonly exits: ReadonlySet<number>;
}

/** Describes calls and writes the lines. */
export class Tracer {
  readonly #options: TraceOptions;
  readonly #wanted = new Map<number, Wanted>();
  readonly #memory = new GuestMemory();
  /** Whose memory is read. */
  #pid = 0;
  readonly #reader: ArgumentReader = {
    string: (address, limit) => this.#memory.string(this.#pid, address, limit),
    octets: (address, length) => this.#memory.octets(this.#pid, address, length),
  };
  readonly #descriptor: number;
  #gathered = "";
  /** The trace's reader is gone: guests go on without it. */
  #broken = false;

  /** @param descriptor is written to. */
  constructor(options: TraceOptions, descriptor: number) {
    this.#options = options;
    this.#descriptor = descriptor;
    const traps = [{ calls: options.calls }];
    for (const arch of [AUDIT_ARCH_X86_64, AUDIT_ARCH_I386]) {
      const table = new SyscallTable(arch);
      this.#wanted.set(arch, {
        calls: new Map(trappedCalls(traps, arch).map((call) => [call.number, call])),
        exits: new Set(EXITS.map((name) => table.named(name)!.number)),
      });
    }
  }

  /** How long the next wait for a call may be: -1 for ever. */
  get waitMs(): number {
    return this.#gathered === "" ? -1 : GATHERED_MS_MAX;
  }

  /** Reads the arguments of a call that is traced, each once; undefined for other calls. */
  capture(request: NotifyListener): TracedCall | undefined {
    const call = this.#wanted.get(request.arch)?.calls.get(request.number);
    if (call === undefined || this.#broken) return undefined;
    this.#pid = request.pid;
    return { call, captured: captureArguments(call.arguments, request, this.#reader) };
  }

  /** What must be written before the caller goes on. */
  beforeReply(request: NotifyListener, traced: TracedCall | undefined, answer: Answer): void {
    if (!this.#isEarly(request)) return;
    if (traced !== undefined) this.#gathered += this.#line(request, traced, answer);
    this.flush();
  }

  /** What can be written while the caller runs. */
  afterReply(request: NotifyListener, traced: TracedCall | undefined, answer: Answer): void {
    if (traced === undefined || this.#isEarly(request)) return;
    this.#gathered += this.#line(request, traced, answer);
    if (this.#gathered.length >= GATHERED_OCTETS_MAX) this.flush();
  }

  #isEarly(request: NotifyListener): boolean {
    if (!this.#options.gathered) return true;
    return this.#wanted.get(request.arch)?.exits.has(request.number) ?? false;
  }

  #line(request: NotifyListener, { call, captured }: TracedCall, answer: Answer): string {
    const { pid, arch } = request;
    const compatible = arch === AUDIT_ARCH_I386;
    if (this.#options.json) {
      const values = argumentValues(call.arguments, request, captured);
      const result =
        answer.kind === "continue"
          ? {}
          : { error: answer.errno === 0 ? null : errnoName(answer.errno) };
      const machine = compatible ? "i386" : "x86_64";
      const { name, class: kind } = call;
      const line = { pid, call: name, class: kind, arch: machine, arguments: values, ...result };
      return `${JSON.stringify(line)}\n`;
    }
    const text = argumentsText(call.arguments, request, captured);
    return `${pid} ${compatible ? "[i386] " : ""}${call.name}${text}${resultText(answer)}\n`;
  }

  /** Writes what has been gathered. */
  flush(): void {
    if (this.#gathered === "") return;
    const octets = new TextEncoder().encode(this.#gathered);
    this.#gathered = "";
    for (let written = 0; written < octets.length && !this.#broken; ) {
      try {
        written += writeSync(this.#descriptor, octets, written);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "EAGAIN") waitWritable(this.#descriptor);
        else this.#broken = true;
      }
    }
  }
}

function resultText(answer: Answer): string {
  if (answer.kind === "continue") return "";
  if (answer.errno === 0) return " = 0";
  return ` = -1 ${errnoName(answer.errno)} (${errnoText(answer.errno)})`;
}
