/**
 * System calls made by another process, in its own name: ptrace(2) puts a launch program into it,
 * watches its calls, and lets it go on where it was.
 *
 * Whenever the caller of this is killed, the process goes on by itself: before its registers are
 * changed as it was, after that through the injected code, which makes all the calls and comes back
 * (injected-code.ts). So PTRACE_O_EXITKILL must not be set.
 *
 * A system call that was interrupted keeps its restart: the original registers are put back in a
 * stop from which the kernel looks at them as it does after any signal.
 *
 * Sources: ptrace(2), proc(5), signal(7); arch/x86/kernel/signal.c (arch_do_signal_or_restart).
 */
import { closeSync, openSync, readFileSync, readSync, writeSync } from "node:fs";
import { ERRNO, errnoText, EXIT, V2Error } from "../base/index.ts";
import { INJECTED, injectedCode, injectedStack } from "./injected-code.ts";
import type { Address, LaunchProgram, ProgramPlace, Step } from "./launch-program.ts";
import {
  detach,
  interrupt,
  REGISTER,
  registers,
  resume,
  resumeToSyscall,
  seize,
  setRegisters,
  setSignalMask,
  signalMask,
  type Stop,
  TRACE_EVENT,
  TRACE_OPTION,
  waitForStop,
  waitForStopWithin,
} from "./ptrace.ts";

const SYS_MMAP = 9n;
const PROT_READ_WRITE = 3n;
const MAP_PRIVATE_ANONYMOUS = 0x22n;
/** No system call: nothing is restarted. */
const NO_CALL = 0xffff_ffff_ffff_ffffn;
/** Code segment of 64-bit programs (arch/x86/include/asm/segment.h). */
const USER_CS = 0x33n;
const SIGTRAP = 5;
/** What only a fault of the injected code itself can raise while all signals are blocked. */
const FAULTS = new Set([4, SIGTRAP, 7, 8, 11]);
const STOP_MS_MAX = 2000;
const PAGE = 4096;
const USER_SPACE_END = 2 ** 47;
/** Zeros that may belong to what stands before the room. */
const ROOM_DISTANCE = 16;
const STEPS_MAX = 64;
/** Octets of the steps of a launch program at most, in whole pages. */
const STEPS_OCTETS = 2 * PAGE;

/** What a process is to do. */
export interface InjectedProgram {
  readonly program: LaunchProgram;
  readonly entry: Step;
}

/** A call that a step has made, in the order of calls. */
export interface MadeCall {
  /** Address of the step. */
  readonly step: Address;
  /** Its value, or a negative errno. */
  readonly result: number;
}

/**
 * Lets a process make the calls of a launch program; it ends at a step that none follows.
 * Of a process with several threads only the first is stopped.
 * @param build makes the program for a place in memory; it is asked twice, first how long it gets
 * @param onCall is told the number of each call before it is made
 * @returns the calls that were made
 * @throws V2Error: ESRCH, EPERM, NO_STOP (it does not stop in time), NO_ROOM, 32_BIT, ENDED
 */
export function injectCalls(
  pid: number,
  build: (place: ProgramPlace) => InjectedProgram,
  onCall: (number: number) => void = () => {},
): readonly MadeCall[] {
  const tracee = new Tracee(pid);
  try {
    return tracee.run(build, onCall);
  } finally {
    tracee.release();
  }
}

class Tracee {
  readonly #pid: number;
  readonly #memory: number;
  readonly #registers: BigUint64Array;
  readonly #mask: Uint8Array;
  /** What was where the code is; undefined: no code is there. */
  #room: { readonly address: number; readonly octets: Uint8Array } | undefined;
  /** Registers or mask are not the process's own. */
  #isChanged = false;
  #hasEnded = false;
  /** Signals that cannot be blocked and came meanwhile. */
  readonly #signals: number[] = [];

  /** Stops the process. */
  constructor(pid: number) {
    this.#pid = pid;
    const refused = seize(pid, TRACE_OPTION.SYSGOOD);
    if (refused !== 0) throw refusal(pid, refused);
    interrupt(pid);
    this.#awaitInterrupt(STOP_MS_MAX);
    try {
      const words = registers(pid);
      if (words === undefined) throw this.#ended();
      if (words[REGISTER.cs] !== USER_CS) throw unavailable("32_BIT", `process ${pid} is 32-bit`);
      this.#registers = words;
      this.#mask = signalMask(pid);
      this.#memory = openSync(`/proc/${pid}/mem`, "r+");
    } catch (error) {
      detach(pid);
      throw error;
    }
  }

  run(
    build: (place: ProgramPlace) => InjectedProgram,
    onCall: (number: number) => void,
  ): readonly MadeCall[] {
    const room = this.#findRoom();
    const { data } = build({ steps: 0n, data: 0n, stepsMax: STEPS_MAX }).program.segment();
    const size = STEPS_OCTETS + Math.ceil(data.length / PAGE) * PAGE;
    this.#enter(room, size);
    const memory = this.#nextCall(onCall)[REGISTER.rax]!;
    const failure = BigInt.asIntN(64, memory);
    if (failure < 0n) throw unavailable("ENOMEM", `mmap: ${errnoText(Number(-failure))}`);
    const place = {
      steps: memory,
      data: memory + BigInt(STEPS_OCTETS),
      stepsMax: STEPS_MAX,
    };
    this.#walk(room, place, size, build(place));
    const made: MadeCall[] = [];
    for (;;) {
      const words = this.#nextCall(onCall);
      if (words[REGISTER.rip] === BigInt(room + INJECTED.leave)) return made;
      const result = Number(BigInt.asIntN(64, words[REGISTER.rax]!));
      made.push({ step: words[REGISTER.rbx]!, result });
    }
  }

  /** Lets the process go, as it was before. */
  release(): void {
    try {
      if (this.#hasEnded) return;
      if (this.#isChanged) this.#restore();
      if (this.#room !== undefined) this.#write(this.#room.address, this.#room.octets);
      detach(this.#pid);
      for (const signal of this.#signals) process.kill(this.#pid, signal);
    } finally {
      closeSync(this.#memory);
    }
  }

  /**
   * The code goes into the process, which begins with a call for memory. Registers come before the
   * mask: whoever is killed between them leaves a process that blocks nothing.
   */
  #enter(room: number, size: number): void {
    const saved = this.#read(room, INJECTED.octets);
    this.#write(room, injectedCode(this.#registers, this.#mask));
    this.#room = { address: room, octets: saved };
    const words = this.#registers.slice();
    words[REGISTER.rip] = BigInt(room + INJECTED.enter);
    words[REGISTER.rsp] = injectedStack(words);
    words[REGISTER.originalRax] = NO_CALL;
    const call = [SYS_MMAP, 0n, BigInt(size), PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1n, 0n];
    const { rax, rdi, rsi, rdx, r10, r8, r9 } = REGISTER;
    [rax, rdi, rsi, rdx, r10, r8, r9].forEach((register, index) => {
      words[register] = BigInt.asUintN(64, call[index]!);
    });
    this.#isChanged = true;
    if (!setRegisters(this.#pid, words)) throw this.#ended();
    setSignalMask(this.#pid, new Uint8Array(8).fill(0xff));
  }

  /** Puts the program into the memory, and its first step next. */
  #walk(
    room: number,
    { steps, data }: ProgramPlace,
    size: number,
    { program, entry }: InjectedProgram,
  ): void {
    const segment = program.segment();
    this.#write(Number(steps), segment.steps);
    this.#write(Number(data), segment.data);
    const memory = new BigUint64Array([steps, BigInt(size)]);
    this.#write(room + INJECTED.memory, new Uint8Array(memory.buffer));
    const words = registers(this.#pid);
    if (words === undefined) throw this.#ended();
    words[REGISTER.rip] = BigInt(room + INJECTED.steps);
    words[REGISTER.rbx] = entry.address;
    words[REGISTER.rbp] = program.errnoCell;
    if (!setRegisters(this.#pid, words)) throw this.#ended();
  }

  /** Runs to the end of the next call. @returns the registers there */
  #nextCall(onCall: (number: number) => void): BigUint64Array {
    for (const isEnd of [false, true]) {
      do resumeToSyscall(this.#pid);
      while (this.#stop(waitForStop(this.#pid)) !== "syscall");
      const words = registers(this.#pid);
      if (words === undefined) throw this.#ended();
      if (isEnd) return words;
      onCall(Number(BigInt.asIntN(32, words[REGISTER.originalRax]!)));
    }
    throw new Error("unreachable");
  }

  /** Looks at a stop of injected code. */
  #stop(stop: Stop | undefined): Stop["kind"] {
    if (stop === undefined || stop.kind === "ended") throw this.#ended();
    if (stop.kind === "signal") {
      if (FAULTS.has(stop.signal)) throw new Error(`signal ${stop.signal} in injected code`);
      // Only SIGSTOP: it is for the process, when that is itself again.
      this.#signals.push(stop.signal);
    }
    return stop.kind;
  }

  /** Waits for the stop that `interrupt` asks for; signals that come first are delivered. */
  #awaitInterrupt(ms: number): void {
    const pid = this.#pid;
    for (;;) {
      const stop = waitForStopWithin(pid, ms);
      if (stop === undefined) {
        // It cannot be let go as it runs; it is, at the latest, when we end.
        throw unavailable("NO_STOP", `process ${pid} does not stop within ${ms} ms`, {
          remedy: "it waits for a device or a child (state D in ps); try again later",
        });
      }
      if (stop.kind === "ended") throw this.#ended();
      if (stop.kind === "signal") resume(pid, stop.signal);
      else if (stop.kind === "event" && stop.event === TRACE_EVENT.STOP) {
        if (stop.signal === SIGTRAP) return;
        detach(pid);
        throw stopped(pid);
      } else resume(pid);
    }
  }

  /** The kernel looks at the registers after this stop, and restarts what is to be restarted. */
  #restore(): void {
    const pid = this.#pid;
    interrupt(pid);
    do resume(pid);
    while (this.#stop(waitForStop(pid)) !== "event");
    // The mask first: until the registers are back, injected code would set it again.
    setSignalMask(pid, this.#mask);
    setRegisters(pid, this.#registers);
  }

  #ended(): V2Error {
    this.#hasEnded = true;
    return new V2Error("ENDED", `process ${this.#pid} has ended meanwhile`, {
      exitCode: EXIT.notFound,
    });
  }

  /**
   * Room for the code: zeros between the end of an executable mapping's content and that of its
   * last page. That of the kernel's own (vdso) comes first.
   */
  #findRoom(): number {
    const mappings = readFileSync(`/proc/${this.#pid}/maps`, "utf8")
      .split("\n")
      .flatMap((line) => {
        const found = /^[0-9a-f]+-([0-9a-f]+) r-xp .{20,}?(\S*)$/.exec(line);
        const end = Number.parseInt(found?.[1] ?? "0", 16);
        return end === 0 || end > USER_SPACE_END ? [] : [{ end, isVdso: found![2] === "[vdso]" }];
      });
    mappings.sort((a, b) => Number(b.isVdso) - Number(a.isVdso));
    for (const { end } of mappings) {
      const page = this.#read(end - PAGE, PAGE);
      const zeros = PAGE - 1 - page.findLastIndex((octet) => octet !== 0);
      if (zeros >= INJECTED.octets + ROOM_DISTANCE) return end - INJECTED.octets;
    }
    throw unavailable("NO_ROOM", `process ${this.#pid} has no room for code`);
  }

  #read(address: number, octets: number): Uint8Array {
    const into = new Uint8Array(octets);
    readSync(this.#memory, into, 0, octets, address);
    return into;
  }

  #write(address: number, octets: Uint8Array): void {
    for (let at = 0; at < octets.length; ) {
      at += writeSync(this.#memory, octets, at, octets.length - at, address + at);
    }
  }
}

function unavailable(code: string, message: string, options: { remedy?: string } = {}): V2Error {
  return new V2Error(code, message, { ...options, exitCode: EXIT.unavailable });
}

function stopped(pid: number): V2Error {
  return unavailable("STOPPED", `process ${pid} is stopped`, {
    remedy: `let it go on first: kill -CONT ${pid}, or fg`,
  });
}

function refusal(pid: number, errno: number): V2Error {
  if (errno === ERRNO.ESRCH) {
    return new V2Error("ESRCH", `there is no process ${pid}`, { exitCode: EXIT.notFound });
  }
  return new V2Error("EPERM", `process ${pid} may not be traced: ${errnoText(errno)}`, {
    exitCode: EXIT.noPermission,
  });
}
