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
 * x86_64: rbx = step, rbp = errno cell; both are set by the ten-octet loads in front of the loop.
 */
const LOOP_X86_64 = [
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
  onFailure: Step | undefined;
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
  readonly onFailure?: Step;
}

/** Builder of a launch program; `compile` gives the executable. */
export class LaunchProgram {
  readonly #steps: Step[] = [];
  readonly #data: { address: Address; octets: Uint8Array }[] = [];
  readonly #optional = new Set<Step>();
  #dataEnd = BigInt(BASE_ADDRESS + PAGE);
  /** The step that the next `call` follows. */
  #last: Step | undefined;
  /** Address of the 32-bit cell with the errno of the last failed step. */
  readonly errnoCell: Address;

  constructor() {
    this.errnoCell = this.bytes(new Uint8Array(8));
  }

  /** Places octets into the program's writable data (8-octet aligned) and gives their address. */
  bytes(octets: Uint8Array): Address {
    const address = this.#dataEnd;
    this.#data.push({ address, octets });
    this.#dataEnd += BigInt((octets.length + 7) & ~7);
    return address;
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
    if (this.#steps.length === STEPS_MAX) {
      throw new V2Error("E2BIG", `a launch program has at most ${STEPS_MAX} steps`);
    }
    const address = BigInt(STEPS_ADDRESS + this.#steps.length * STEP_OCTETS);
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

  /** The executable for this machine's processor; execution starts at `entry`. */
  compile(entry: Step, architecture: string = process.arch): Uint8Array {
    if (architecture !== "x64") {
      throw new V2Error("ARCHITECTURE", `no launcher for the processor '${architecture}' yet`, {
        remedy: "views run on x86_64 only in this version",
        exitCode: EXIT.unavailable,
      });
    }
    const storeLists = this.#steps.map((step) => this.words([...step.stores, 0n]));
    const dataSize = Number(this.#dataEnd) - BASE_ADDRESS;
    const stepsOffset = Math.ceil(dataSize / PAGE) * PAGE;
    const image = new Uint8Array(stepsOffset + this.#steps.length * STEP_OCTETS);
    const view = new DataView(image.buffer);
    this.#steps.forEach((step, index) => {
      const at = stepsOffset + index * STEP_OCTETS;
      const word = (offset: number, value: bigint): void =>
        view.setBigUint64(at + offset, BigInt.asUintN(64, value), true);
      const after = step.next?.address ?? 0n;
      word(STEP.number, BigInt(step.number));
      step.args.forEach((argument, i) => {
        word(STEP.args + 8 * i, typeof argument === "object" ? 0n : BigInt(argument));
      });
      word(STEP.stores, storeLists[index]!);
      word(STEP.next, after);
      const failure = this.#optional.has(step) && step.onFailure === undefined;
      word(STEP.onFailure, failure ? after : (step.onFailure?.address ?? 0n));
      word(STEP.atLeast, BigInt(step.atLeast));
    });
    for (const { address, octets } of this.#data) image.set(octets, Number(address) - BASE_ADDRESS);
    this.#emitCode(image, view, entry);
    emitElfHeader(view, dataSize, stepsOffset);
    return image;
  }

  #emitCode(image: Uint8Array, view: DataView, entry: Step): void {
    let at = CODE_OFFSET;
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
