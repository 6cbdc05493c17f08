/**
 * A launch program: a list of system calls compiled to a tiny static ELF executable. It does what
 * must happen in a single-threaded process between fork and exec (join namespaces, mount, install a
 * seccomp filter, pass descriptors) without a compiled launcher: the machine code is one fixed loop
 * of some hundred octets that walks a graph of steps.
 *
 * A step is one system call. Its result may be stored into arguments of later steps or into data; a
 * result below `atLeast` (0 unless told otherwise, so: any error) leads to the step's `onFailure`,
 * otherwise to its successor. The result negated (errno) of the last failed step is kept in a cell.
 *
 * Sources: elf(5), syscall(2) (calling convention), System V ABI AMD64 supplement.
 */
import { EXIT, V2Error } from "../base/index.ts";

const BASE_ADDRESS = 0x400000;
/** The steps have a segment of their own, so that they and the data grow side by side. */
const STEPS_ADDRESS = 0x10000000;
const PAGE = 4096;
const ELF_HEADER_OCTETS = 64;
const PROGRAM_HEADER_OCTETS = 56;
const CODE_OFFSET = ELF_HEADER_OCTETS + 4 * PROGRAM_HEADER_OCTETS;
const STEPS_MAX = 2048;

/** Layout of one step in the data segment: eleven 64-bit words. */
const STEP = { number: 0, args: 8, stores: 56, next: 64, onFailure: 72, atLeast: 80 } as const;
const STEP_OCTETS = 88;

/**
 * The machine code that walks the steps. x86_64: rbx = step, rbp = errno cell. An executable sets
 * both by the ten-octet loads in front of it.
 */
export const LOOP_X86_64: readonly number[] = [
  [0x48, 0x8b, 0x03], // mov rax, [rbx]            number
  [0x48, 0x8b, 0x7b, 0x08], // mov rdi, [rbx+8]
  [0x48, 0x8b, 0x73, 0x10], // mov rsi, [rbx+16]
  [0x48, 0x8b, 0x53, 0x18], // mov rdx, [rbx+24]
  [0x4c, 0x8b, 0x53, 0x20], // mov r10, [rbx+32]
  [0x4c, 0x8b, 0x43, 0x28], // mov r8, [rbx+40]
  [0x4c, 0x8b, 0x4b, 0x30], // mov r9, [rbx+48]
  [0x0f, 0x05], // syscall
  [0x48, 0x8b, 0x4b, 0x38], // mov rcx, [rbx+56]   stores: list of addresses, 0 ends it
  [0x48, 0x8b, 0x11], // store: mov rdx, [rcx]
  [0x48, 0x85, 0xd2], // test rdx, rdx
  [0x74, 0x08], // jz compare
  [0x89, 0x02], // mov [rdx], eax
  [0x48, 0x83, 0xc1, 0x08], // add rcx, 8
  [0xeb, 0xf0], // jmp store
  [0x48, 0x8b, 0x4b, 0x40], // compare: mov rcx, [rbx+64]   next
  [0x48, 0x3b, 0x43, 0x50], // cmp rax, [rbx+80]   atLeast
  [0x7d, 0x09], // jge go
  [0x48, 0x8b, 0x4b, 0x48], // mov rcx, [rbx+72]   onFailure
  [0xf7, 0xd8], // neg eax
  [0x89, 0x45, 0x00], // mov [rbp], eax
  [0x48, 0x89, 0xcb], // go: mov rbx, rcx
  [0xeb, 0xb7], // jmp loop
].flat();

/** An address inside the program being built. */
export type Address = bigint;

/** The result of an earlier step, used as an argument: a descriptor, a process number. */
export interface Result {
  readonly step: Step;
}

export type Argument = number | bigint | Result;

/** One system call; made by LaunchProgram.call. */
export interface Step {
  readonly address: Address;
  readonly number: number;
  readonly args: readonly Argument[];
  readonly atLeast: number;
  readonly stores: Address[];
  next: Step | undefined;
  /** A step, or the address of one in the program that this one continues. */
  onFailure: Step | Address | undefined;
  readonly result: Result;
}

export interface StepOptions {
  /** Smallest result that counts as success; 0 (any non-error) unless told otherwise. */
  readonly atLeast?: number;
  /** Addresses of 32-bit cells that receive the result. */
  readonly storeAt?: readonly Address[];
  /** Failure goes on with the next step as if nothing had happened. */
  readonly mayFail?: boolean;
  /** Failure goes on there; without it a failure ends in a crash. */
  readonly onFailure?: Step | Address;
}

/** Where a program is in memory, and how many steps it may have. */
export interface ProgramPlace {
  readonly steps: Address;
  readonly data: Address;
  readonly stepsMax: number;
  /** The errno cell of the program that this one continues. */
  readonly errnoCell?: Address;
}

const EXECUTABLE: ProgramPlace = {
  steps: BigInt(STEPS_ADDRESS),
  data: BigInt(BASE_ADDRESS + PAGE),
  stepsMax: STEPS_MAX,
};

/**
 * What an executable does with the stack that the kernel gave it, before its first step. The words
 * are 64 bits wide.
 */
export interface StackUse {
  /** Receives the address of the first word: the count of arguments, then their addresses. */
  readonly stackCell: Address;
  /** Receive the address of the environment. */
  readonly environmentCells: readonly Address[];
  /** Two strings put in front of the arguments; `argumentsCell` receives the address of all. */
  readonly before: readonly [Address, Address];
  readonly argumentsCell: Address;
}

/**
 * Builder of a launch program; `compile` gives the executable, `segment` a continuation of one that
 * runs.
 */
export class LaunchProgram {
  readonly #place: ProgramPlace;
  readonly #steps: Step[] = [];
  readonly #data: { address: Address; octets: Uint8Array }[] = [];
  readonly #optional = new Set<Step>();
  #dataEnd: Address;
  /** The step that the next `call` follows. */
  #last: Step | undefined;
  /** Address of the 32-bit cell with the errno of the last failed step. */
  readonly errnoCell: Address;

  constructor(place: ProgramPlace = EXECUTABLE) {
    this.#place = place;
    this.#dataEnd = place.data;
    this.errnoCell = place.errnoCell ?? this.bytes(new Uint8Array(8));
  }

  /** Places octets into the program's writable data (8-octet aligned) and gives their address. */
  bytes(octets: Uint8Array): Address {
    const address = this.#dataEnd;
    this.#data.push({ address, octets });
    this.#dataEnd += BigInt((octets.length + 7) & ~7);
    return address;
  }

  /** Changes one of the words that `words` has placed. */
  setWord(address: Address, index: number, value: bigint | number): void {
    const part = this.#data.find((one) => one.address === address)!;
    const view = new DataView(part.octets.buffer, part.octets.byteOffset);
    view.setBigUint64(8 * index, BigInt.asUintN(64, BigInt(value)), true);
  }

  /** A NUL-terminated UTF-8 string. */
  string(text: string): Address {
    return this.bytes(new TextEncoder().encode(`${text}\0`));
  }

  /** An array of 64-bit words: iovec, msghdr, argv (end it with 0n yourself). */
  words(values: readonly (bigint | number)[]): Address {
    return this.bytes(
      new Uint8Array(BigUint64Array.from(values, (v) => BigInt.asUintN(64, BigInt(v))).buffer),
    );
  }

  /** argv or envp: a NULL-terminated array of strings. */
  strings(values: readonly string[]): Address {
    return this.words([...values.map((value) => this.string(value)), 0n]);
  }

  /** Appends a system call; it follows the step appended before it. */
  call(number: number, args: readonly Argument[], options: StepOptions = {}): Step {
    const step = this.detached(number, args, options);
    if (this.#last !== undefined && this.#last.next === undefined) this.#last.next = step;
    this.#last = step;
    return step;
  }

  /** A system call that no earlier step leads to: the start of a failure path. */
  detached(number: number, args: readonly Argument[], options: StepOptions = {}): Step {
    const { steps, stepsMax } = this.#place;
    if (this.#steps.length === stepsMax) {
      throw new V2Error("E2BIG", `this launch program has at most ${stepsMax} steps`);
    }
    const address = steps + BigInt(this.#steps.length * STEP_OCTETS);
    const step = { address, number, args, atLeast: options.atLeast ?? 0 } as Step & {
      stores: Address[];
      result: Result;
    };
    step.stores = [...(options.storeAt ?? [])];
    step.next = undefined;
    step.onFailure = options.onFailure;
    step.result = { step };
    if (options.mayFail === true) this.#optional.add(step);
    args.forEach((argument, index) => {
      if (typeof argument === "object") {
        argument.step.stores.push(address + BigInt(STEP.args + 8 * index));
      }
    });
    this.#steps.push(step);
    return step;
  }

  /** The next `call` follows `step`, which is reached by a branch. */
  continueAt(step: Step): void {
    this.#last = step;
  }

  /**
   * Address of a 32-bit cell that overlays an argument of a step: data received there becomes it.
   */
  argumentCell(step: Step, index: number): Address {
    return step.address + BigInt(STEP.args + 8 * index);
  }

  /** Address of the 64-bit word that tells which step follows a step. */
  nextCell(step: Step): Address {
    return step.address + BigInt(STEP.next);
  }

  /**
   * The program as it must lie in memory: steps from `place.steps` on, data from `place.data` on.
   */
  segment(): { readonly steps: Uint8Array; readonly data: Uint8Array } {
    const storeLists = this.#steps.map((step) => this.words([...step.stores, 0n]));
    const steps = new Uint8Array(this.#steps.length * STEP_OCTETS);
    this.#emitSteps(new DataView(steps.buffer), storeLists);
    const data = new Uint8Array(Number(this.#dataEnd - this.#place.data));
    for (const part of this.#data) data.set(part.octets, Number(part.address - this.#place.data));
    return { steps, data };
  }

  /**
   * The executable for this machine's processor; execution starts at `entry`.
   * @param stack what to do with the stack first
   */
  compile(entry: Step, stack?: StackUse, architecture: string = process.arch): Uint8Array {
    if (architecture !== "x64") {
      throw new V2Error("ARCHITECTURE", `no launcher for the processor '${architecture}' yet`, {
        remedy: "views run on x86_64 only in this version",
        exitCode: EXIT.unavailable,
      });
    }
    const { steps, data } = this.segment();
    const dataSize = PAGE + data.length;
    const stepsOffset = Math.ceil(dataSize / PAGE) * PAGE;
    const image = new Uint8Array(stepsOffset + steps.length);
    const view = new DataView(image.buffer);
    image.set(data, PAGE);
    image.set(steps, stepsOffset);
    this.#emitCode(image, view, entry, stack);
    emitElfHeader(view, dataSize, stepsOffset);
    return image;
  }

  #emitSteps(view: DataView, storeLists: readonly Address[]): void {
    this.#steps.forEach((step, index) => {
      const at = index * STEP_OCTETS;
      const word = (offset: number, value: bigint): void =>
        view.setBigUint64(at + offset, BigInt.asUintN(64, value), true);
      const after = step.next?.address ?? 0n;
      word(STEP.number, BigInt(step.number));
      step.args.forEach((argument, i) => {
        word(STEP.args + 8 * i, typeof argument === "object" ? 0n : BigInt(argument));
      });
      word(STEP.stores, storeLists[index]!);
      word(STEP.next, after);
      const isOptional = this.#optional.has(step) && step.onFailure === undefined;
      const failure = typeof step.onFailure === "bigint" ? step.onFailure : step.onFailure?.address;
      word(STEP.onFailure, isOptional ? after : (failure ?? 0n));
      word(STEP.atLeast, BigInt(step.atLeast));
    });
  }

  #emitCode(image: Uint8Array, view: DataView, entry: Step, stack: StackUse | undefined): void {
    let at = CODE_OFFSET;
    if (stack !== undefined) {
      const code = stackCode(stack);
      image.set(code, at);
      at += code.length;
    }
    for (const [register, value] of [
      [0xbb, entry.address], // mov rbx, entry
      [0xbd, this.errnoCell], // mov rbp, errno cell
    ] as const) {
      image.set([0x48, register], at);
      view.setBigUint64(at + 2, value, true);
      at += 10;
    }
    image.set(LOOP_X86_64, at);
  }
}

/** Machine code that carries out `StackUse`: addresses are below 2 GiB, so they fit an imm32. */
function stackCode(stack: StackUse): readonly number[] {
  const imm32 = (address: Address): number[] => {
    const octets = new Uint8Array(4);
    new DataView(octets.buffer).setUint32(0, Number(address), true);
    return [...octets];
  };
  return [
    [0x48, 0x8b, 0x04, 0x24], // mov rax, [rsp]            count of arguments
    [0x48, 0x8d, 0x54, 0xc4, 0x10], // lea rdx, [rsp+rax*8+16]   environment
    ...stack.environmentCells.map((cell) => [0x48, 0x89, 0x14, 0x25, ...imm32(cell)]),
    [0x48, 0x89, 0x24, 0x25, ...imm32(stack.stackCell)], // mov [cell], rsp
    [0x48, 0xc7, 0x04, 0x24, ...imm32(stack.before[1])], // mov qword [rsp], second
    [0x68, ...imm32(stack.before[0])], // push first
    [0x48, 0x89, 0x24, 0x25, ...imm32(stack.argumentsCell)], // mov [cell], rsp
  ].flat();
}

/**
 * ELF header; segments: headers and code (read, execute), data, steps (read, write), a plain stack.
 */
function emitElfHeader(view: DataView, dataSize: number, stepsOffset: number): void {
  const EM_X86_64 = 62;
  const PF_X = 1;
  const PF_W = 2;
  const PF_R = 4;
  view.setUint32(0, 0x7f454c46, false);
  view.setUint32(4, 0x02010100, false); // 64-bit, little endian, version 1, System V
  view.setUint16(16, 2, true); // ET_EXEC
  view.setUint16(18, EM_X86_64, true);
  view.setUint32(20, 1, true);
  view.setBigUint64(24, BigInt(BASE_ADDRESS + CODE_OFFSET), true);
  view.setBigUint64(32, BigInt(ELF_HEADER_OCTETS), true);
  view.setUint16(52, ELF_HEADER_OCTETS, true);
  view.setUint16(54, PROGRAM_HEADER_OCTETS, true);
  view.setUint16(56, 4, true);
  const segments = [
    { type: 1, flags: PF_R | PF_X, offset: 0, address: BASE_ADDRESS, octets: PAGE },
    {
      type: 1,
      flags: PF_R | PF_W,
      offset: PAGE,
      address: BASE_ADDRESS + PAGE,
      octets: dataSize - PAGE,
    },
    {
      type: 1,
      flags: PF_R | PF_W,
      offset: stepsOffset,
      address: STEPS_ADDRESS,
      octets: view.byteLength - stepsOffset,
    },
    { type: 0x6474e551, flags: PF_R | PF_W, offset: 0, address: 0, octets: 0 }, // PT_GNU_STACK
  ];
  segments.forEach(({ type, flags, offset, address, octets }, index) => {
    const at = ELF_HEADER_OCTETS + index * PROGRAM_HEADER_OCTETS;
    view.setUint32(at, type, true);
    view.setUint32(at + 4, flags, true);
    view.setBigUint64(at + 8, BigInt(offset), true);
    view.setBigUint64(at + 16, BigInt(address), true);
    view.setBigUint64(at + 24, BigInt(address), true);
    view.setBigUint64(at + 32, BigInt(octets), true);
    view.setBigUint64(at + 40, BigInt(octets), true);
    view.setBigUint64(at + 48, BigInt(PAGE), true);
  });
}
