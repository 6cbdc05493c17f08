/**
 * The trace of a view: a line for each call of the asked classes, as strace(1) writes it or as
 * JSON. A trace sees calls before the kernel performs them and lets them through; so it knows the
 * result only of those that the view answers itself. It decides nothing.
 */
import { writeSync } from "node:fs";
import { errnoName, errnoText } from "../../base/index.ts";
import { GuestMemory, type CallRequest, waitWritable } from "../../sys/index.ts";
import {
  type ArgumentReader,
  argumentsText,
  argumentValues,
  AUDIT_ARCH_I386,
  AUDIT_ARCH_X86_64,
  type Captured,
  captureArguments,
  type Syscall,
  trappedCalls,
} from "../../viewos/index.ts";
import type { Answer } from "./answer.ts";

/** What is traced, and how it is written. */
export interface TraceOptions {
  /** Classes, groups of classes, or calls. */
  readonly calls: readonly string[];
  readonly json: boolean;
}

/** Classes of a trace that names none. */
export const TRACED_BY_DEFAULT: readonly string[] = ["path", "exec", "mount", "names", "socket"];

/** Octets of a line that fit into the buffer which is kept; longer ones get their own. */
const LINE_OCTETS = 16 * 1024;
/** A UTF-16 unit becomes three octets of UTF-8 at most. */
const OCTETS_PER_UNIT = 3;

/** A call whose arguments have been read from its caller's memory. */
export interface TracedCall {
  readonly call: Syscall;
  readonly captured: readonly Captured[];
}

/** Describes calls and writes the lines. */
export class Tracer {
  readonly #options: TraceOptions;
  /** By architecture, then by number. */
  readonly #wanted = new Map<number, ReadonlyMap<number, Syscall>>();
  readonly #memory = new GuestMemory();
  /** Whose memory is read. */
  #pid = 0;
  readonly #reader: ArgumentReader = {
    string: (address, limit) => this.#memory.string(this.#pid, address, limit),
    octets: (address, length) => this.#memory.octets(this.#pid, address, length),
  };
  readonly #descriptor: number;
  readonly #encoder = new TextEncoder();
  readonly #buffer = new Uint8Array(LINE_OCTETS);
  /** The trace's reader is gone: guests go on without it. */
  #broken = false;

  /** @param descriptor is written to. */
  constructor(options: TraceOptions, descriptor: number) {
    this.#options = options;
    this.#descriptor = descriptor;
    const traps = [{ calls: options.calls }];
    for (const arch of [AUDIT_ARCH_X86_64, AUDIT_ARCH_I386]) {
      const calls = trappedCalls(traps, arch);
      this.#wanted.set(arch, new Map(calls.map((call) => [call.number, call])));
    }
  }

  /** Reads the arguments of a call that is traced, each once; undefined for other calls. */
  capture(request: CallRequest): TracedCall | undefined {
    const call = this.#wanted.get(request.arch)?.get(request.number);
    if (call === undefined || this.#broken) return undefined;
    this.#pid = request.pid;
    return { call, captured: captureArguments(call.arguments, request, this.#reader) };
  }

  /**
   * Writes the line of a call. Before the reply: so a terminal shows cause before effect, and when
   * a process has ended, however it did, its lines are in the file.
   */
  write(request: CallRequest, traced: TracedCall, answer: Answer): void {
    const line = this.#line(request, traced, answer);
    const fits = line.length * OCTETS_PER_UNIT <= LINE_OCTETS;
    const octets = fits ? this.#buffer : this.#encoder.encode(line);
    const end = fits ? this.#encoder.encodeInto(line, octets).written : octets.length;
    for (let at = 0; at < end && !this.#broken; ) {
      try {
        at += writeSync(this.#descriptor, octets, at, end - at);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "EAGAIN") waitWritable(this.#descriptor);
        else this.#broken = true;
      }
    }
  }

  #line(request: CallRequest, { call, captured }: TracedCall, answer: Answer): string {
    const { pid, arch } = request;
    const compatible = arch === AUDIT_ARCH_I386;
    if (this.#options.json) {
      const values = argumentValues(call.arguments, request, captured);
      const result = resultValue(answer);
      const machine = compatible ? "i386" : "x86_64";
      const { name, class: kind } = call;
      const line = { pid, call: name, class: kind, arch: machine, arguments: values, ...result };
      return `${JSON.stringify(line)}\n`;
    }
    const text = argumentsText(call.arguments, request, captured);
    return `${pid} ${compatible ? "[i386] " : ""}${call.name}${text}${resultText(answer)}\n`;
  }
}

/** A descriptor's number in the caller is not known before the reply; nor is what comes later. */
export function resultText(answer: Answer): string {
  if (answer.kind === "value") return ` = ${answer.value}`;
  if (answer.kind !== "done") return "";
  if (answer.errno === 0) return " = 0";
  return ` = -1 ${errnoName(answer.errno)} (${errnoText(answer.errno)})`;
}

function resultValue(answer: Answer): { readonly error?: string | null } {
  if (answer.kind === "continue" || answer.kind === "later") return {};
  const failed = answer.kind === "done" && answer.errno !== 0;
  return { error: failed ? errnoName(answer.errno) : null };
}
