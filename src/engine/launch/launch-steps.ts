/**
 * The words of a launch program: what a launcher says to the supervisor, and the steps that several
 * programs share. Messages travel over a sequenced-packet socket; the first octet tells the kind.
 */
import { fstatSync } from "node:fs";
import {
  type Address,
  type Argument,
  closeDescriptor,
  LaunchProgram,
  O,
  type Result,
  type SessionMessage,
  type Step,
} from "../../sys/index.ts";
import { SYS_X86_64 as SYS } from "../../viewos/index.ts";
import type { ViewNet } from "./view-net.ts";

/** First octet of a message from a launcher. */
export const MESSAGE = {
  /** "M": waits until its uid and gid maps have been written. */
  maps: 0x4d,
  /** "R" pid: the supervisor runs with that process number. */
  running: 0x52,
  /** "N" pid and `ViewFacts`, with [standard error]: the network namespace waits for its cables. */
  network: 0x4e,
  /**
   * "L" pid and `ViewFacts`, with descriptors [listener, mount namespace, UTS namespace, user
   * namespace]: the filter is in place.
   */
  listener: 0x4c,
  /** "T" pid: waits until it is traced. */
  traced: 0x54,
  /** "Y" 0, or a negative errno: whether a filter picks the calls that the tracer sees. */
  filtered: 0x59,
  /** "C" pid, with [stream socket]: whoever sent it wants the control socket at its other end. */
  control: 0x43,
  /**
   * "V" and `ViewFacts`, with descriptors [mount namespace, UTS namespace, user namespace,
   * standard error]: the namespaces of a view inside a view exist; waits for its maps.
   */
  nested: 0x56,
  /** "B": the view inside a view is as it was asked for; the command comes next. */
  born: 0x42,
  /** "H": waits to be let in, an octet. */
  hello: 0x48,
  /** "Q": a native launcher asks for the rest of its program; see native-launcher.ts. */
  request: 0x51,
  /** "D" JSON, to a starter and in pieces: what the modules of a view that starts must trap. */
  modules: 0x44,
  /** "F" errno label, with descriptor [standard error]: a step failed; waits for its exit code. */
  failed: 0x46,
  /** "X" errno label, with descriptor [standard error]: the same of the command itself. */
  notExecuted: 0x58,
} as const;

const O_RDONLY = 0;
const O_WRONLY = 1;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;

/**
 * Flags of sendmsg(2) that mark the message which carries the listener: it is sent under the
 * filter, before anybody serves that, so the filter must let it pass. Together they mean nothing on
 * this kind of socket (MSG_NOSIGNAL, MSG_CONFIRM, MSG_EOR), and no program combines them.
 */
export const LISTENER_MESSAGE_FLAGS = 0x4880;

/** Octets of a message: kind, then a 32-bit value, then text. */
export const MESSAGE_HEADER_OCTETS = 5;

/** The value of a message: a process number, an errno; 0 when it has none. */
export function valueOf({ octets }: SessionMessage): number {
  if (octets.length < MESSAGE_HEADER_OCTETS) return 0;
  return new DataView(octets.buffer, octets.byteOffset).getInt32(1, true);
}

/** The text of a message. */
export function textOf({ octets }: SessionMessage): string {
  return new TextDecoder().decode(octets.subarray(MESSAGE_HEADER_OCTETS));
}

/** What a launcher says of its view, in the messages that have it. */
export function factsOf(message: SessionMessage): ViewFacts {
  const text = textOf(message);
  return text === "" ? {} : (JSON.parse(text) as ViewFacts);
}

/** Descriptors of a view that another thread has taken in; they belong to the worker then. */
export interface AdoptedView {
  readonly listener: number;
  readonly mounts: number;
  readonly names: number;
  /** Where its calls are noted; undefined: nowhere, nobody would take over. */
  readonly notes?: number | undefined;
}

/**
 * Takes what a guest sends when its filter is in place; undefined when something is missing.
 * @returns its descriptors, and the identity of its user namespace
 */
export function enteredGuest({
  descriptors,
}: SessionMessage): { readonly view: AdoptedView; readonly userNamespace: bigint } | undefined {
  const [listener, mounts, names, users] = descriptors;
  if (listener === undefined || mounts === undefined) return undefined;
  if (names === undefined || users === undefined) return undefined;
  const userNamespace = fstatSync(users, { bigint: true }).ino;
  closeDescriptor(users);
  return { view: { listener, mounts, names }, userNamespace };
}

/** What the supervisor is told of a view that it did not know of. */
export interface ViewFacts {
  readonly name?: string;
  readonly net?: readonly ViewNet[];
  /** The view ends with its first process. */
  readonly bound?: boolean;
}

export class Launcher {
  readonly program: LaunchProgram;
  /** The session socket in the launched process. */
  readonly session: Argument;
  readonly #onFailure: ((label: string) => Step) | undefined;
  /** First step made; execution starts there. */
  #entry: Step | undefined;

  /**
   * @param session descriptor of the session socket in the launched process.
   * @param program to append to; an executable's unless given.
   * @param onFailure begins the failure path of a step; unless given, it reports and ends
   */
  constructor(
    session: Argument,
    program = new LaunchProgram(),
    onFailure?: (label: string) => Step,
  ) {
    this.session = session;
    this.program = program;
    this.#onFailure = onFailure;
  }

  /** The first step. */
  get entry(): Step {
    return this.#entry!;
  }

  /** Appends a system call whose failure is reported as `label` and ends the launcher. */
  step(label: string, number: number, args: readonly Argument[], atLeast = 0): Step {
    const step = this.program.call(number, args, { atLeast, onFailure: this.#failure(label) });
    this.#entry ??= step;
    return step;
  }

  /** Appends a system call that may fail. */
  attempt(number: number, args: readonly Argument[]): Step {
    const step = this.program.call(number, args, { mayFail: true });
    this.#entry ??= step;
    return step;
  }

  /** The next step follows `step`, which is reached by a branch. */
  continueAt(step: Step): void {
    this.program.continueAt(step);
  }

  /** Opens a file for reading, close-on-exec. */
  open(path: string): Result {
    return this.step(path, SYS.open, [this.program.string(path), O_RDONLY | O.CLOEXEC, 0]).result;
  }

  /** Writes a text to an existing file in one write(2). */
  writeFile(label: string, path: string, text: string): void {
    const octets = new TextEncoder().encode(text);
    const opened = this.step(label, SYS.open, [this.program.string(path), O_WRONLY | O.CLOEXEC, 0]);
    this.step(label, SYS.write, [opened.result, this.program.bytes(octets), octets.length], 1);
    this.step(label, SYS.close, [opened.result]);
  }

  /**
   * Sends a message: kind and a 32-bit value, which may be the result of an earlier step.
   * @param descriptors passed along (SCM_RIGHTS): numbers or results of earlier steps.
   * @param text what follows the value
   */
  send(
    kind: number,
    value: Step | undefined,
    descriptors: readonly (number | Step)[] = [],
    flags = 0,
    text = "",
  ): void {
    const tail = new TextEncoder().encode(text);
    const octets = new Uint8Array(MESSAGE_HEADER_OCTETS + tail.length);
    octets[0] = kind;
    octets.set(tail, MESSAGE_HEADER_OCTETS);
    const address = this.program.bytes(octets);
    // The value is stored unaligned behind the kind: one 32-bit store, fine on x86_64 and aarch64.
    value?.stores.push(address + 1n);
    const header = this.#messageHeader([[address, octets.length]], descriptors);
    this.step("supervisor", SYS.sendmsg, [this.session, header, flags]);
  }

  /** Waits for the supervisor's one-octet answer. */
  awaitAnswer(label: string): void {
    const header = this.#messageHeader([[this.program.bytes(new Uint8Array(8)), 4]], []);
    this.step(label, SYS.recvmsg, [this.session, header, 0], 1);
  }

  /**
   * Tries to run the command: each candidate path in turn; the last error is reported as `label`.
   */
  execute(label: string, candidates: readonly string[], argv: Address, envp: Address): void {
    candidates.forEach((path, index) => {
      const args = [this.program.string(path), argv, envp];
      if (index < candidates.length - 1) this.attempt(SYS.execve, args);
      else {
        const onFailure = this.#failure(label, MESSAGE.notExecuted);
        const step = this.program.call(SYS.execve, args, { onFailure });
        this.#entry ??= step;
      }
    });
  }

  /** The executable's image. */
  compile(): Uint8Array {
    return this.program.compile(this.#entry!);
  }

  /** A failure path of its own: report label and errno with our standard error, end as told. */
  #failure(label: string, message: number = MESSAGE.failed): Step {
    if (this.#onFailure !== undefined) return this.#onFailure(label);
    const kind = this.program.bytes(Uint8Array.of(message));
    const text = new TextEncoder().encode(label);
    const header = this.#messageHeader(
      [
        [kind, 1],
        [this.program.errnoCell, 4],
        [this.program.bytes(text), text.length],
      ],
      [2],
    );
    const report = this.program.detached(SYS.sendmsg, [this.session, header, 0], {
      mayFail: true,
    });
    const exit = this.program.detached(SYS.exit_group, [127]);
    const answer = this.#messageHeader([[this.program.argumentCell(exit, 0), 4]], []);
    const wait = this.program.detached(SYS.recvmsg, [this.session, answer, 0], {
      onFailure: exit,
    });
    report.next = wait;
    wait.next = exit;
    return report;
  }

  /** struct msghdr with its iovec and, for descriptors, one SCM_RIGHTS control message. */
  #messageHeader(
    parts: readonly (readonly [address: Address, octets: number])[],
    descriptors: readonly (number | Step)[],
  ): Address {
    const vector = this.program.words(parts.flat());
    let control: Address = 0n;
    const controlOctets = descriptors.length === 0 ? 0 : 16 + 4 * descriptors.length;
    if (controlOctets > 0) {
      const octets = new Uint8Array(controlOctets);
      const view = new DataView(octets.buffer);
      view.setBigUint64(0, BigInt(controlOctets), true);
      view.setInt32(8, SOL_SOCKET, true);
      view.setInt32(12, SCM_RIGHTS, true);
      control = this.program.bytes(octets);
      descriptors.forEach((descriptor, index) => {
        if (typeof descriptor === "number") view.setInt32(16 + 4 * index, descriptor, true);
        else descriptor.stores.push(control + BigInt(16 + 4 * index));
      });
    }
    return this.program.words([0, 0, vector, parts.length, control, controlOctets, 0]);
  }
}
