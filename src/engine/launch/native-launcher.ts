/**
 * The native launcher: an executable of some thousand octets that a shell finds as `v2`. It sends
 * its command line and environment to the user's server and gets back the rest of its program, the
 * steps that make the view and run the command. Whatever comes in between (no server, one of
 * another version, a command that is not for it), it becomes Node with `main.js`, as if it had been
 * that from the beginning: a cold start.
 *
 * The request: kind, version, descriptor of the session, length of the command line (32 bits each);
 * then 64-bit words: address of the stack, of the environment, of the step that makes a cold start;
 * then the command line and the environment as /proc shows them. The answer: the address of the
 * first step, the steps in a room of fixed size, the data.
 */
import {
  type Address,
  type Argument,
  LaunchProgram,
  O,
  type ProgramPlace,
  type Step,
  type StepOptions,
} from "../../sys/index.ts";
import { SYS_X86_64 as SYS, VUSESSION } from "../../viewos/index.ts";
import { MESSAGE } from "./launch-steps.ts";

/** Changes whenever an old launcher and a new server would misunderstand each other. */
export const LAUNCHER_VERSION = 1;

/** Offsets in a request. */
const REQUEST = { version: 4, session: 8, line: 12, stack: 16, environment: 24, cold: 32 } as const;
const REQUEST_OCTETS = 40;

/** Memory of the launcher that the answer fills, and room for what is sent. */
const ROOM_ADDRESS = 0x20000000n;
const ROOM_OCTETS = 0x80000;
const STEPS_MAX = 400;
const STEPS_OCTETS = STEPS_MAX * 88;
const SENT_ADDRESS = ROOM_ADDRESS + 0x40000n;
const LINE_OCTETS_MAX = 0x20000;
const ENVIRONMENT_OCTETS_MAX = 0x10000;

const PROT_READ_WRITE = 3;
const MAP_PRIVATE_FIXED_ANONYMOUS = 0x32;
const AF_UNIX = 1;
const SOCK_SEQPACKET_CLOEXEC = 0o2000005;
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
/** A server that does not answer in that time is no help. */
const ANSWER_S_MAX = 5;

/** What a launcher becomes in a cold start, and where it looks for a server before. */
export interface LauncherPlan {
  readonly node: string;
  readonly main: string;
  readonly serverSocket: string;
}

/** The executable. */
export function nativeLauncher(plan: LauncherPlan): Uint8Array {
  const program = new LaunchProgram();
  const text = (value: string): Address => program.string(value);
  const cold = coldStart(program, plan);
  const call = (number: number, args: readonly Argument[], options?: StepOptions): Step =>
    program.call(number, args, { onFailure: cold.step, ...options });
  const request = new Uint8Array(REQUEST_OCTETS);
  const view = new DataView(request.buffer);
  view.setUint32(0, MESSAGE.request, true);
  view.setUint32(REQUEST.version, LAUNCHER_VERSION, true);
  view.setBigUint64(REQUEST.cold, cold.step.address, true);
  const header = program.bytes(request);
  const cell = (offset: number): Address => header + BigInt(offset);

  const flags = MAP_PRIVATE_FIXED_ANONYMOUS;
  const first = call(SYS.mmap, [ROOM_ADDRESS, ROOM_OCTETS, PROT_READ_WRITE, flags, -1, 0]);
  const inside = call(VUSESSION, []);
  const outside = program.detached(SYS.socket, [AF_UNIX, SOCK_SEQPACKET_CLOEXEC, 0], {
    onFailure: cold.step,
  });
  inside.onFailure = outside;
  program.continueAt(outside);
  const path = new TextEncoder().encode(plan.serverSocket);
  const address = new Uint8Array(110);
  address[0] = AF_UNIX;
  address.set(path, 2);
  call(SYS.connect, [outside.result, program.bytes(address), address.length]);
  const timeout = program.words([ANSWER_S_MAX, 0]);
  const session = outside.result;
  const ask = call(SYS.setsockopt, [session, SOL_SOCKET, SO_RCVTIMEO, timeout, 16]);

  const environment = SENT_ADDRESS + BigInt(LINE_OCTETS_MAX);
  const vector = [header, REQUEST_OCTETS, SENT_ADDRESS, 0, environment, 0];
  const parts = program.words(vector);
  for (const [name, room, octetsMax, lengthAt] of [
    ["cmdline", SENT_ADDRESS, LINE_OCTETS_MAX, parts + 24n],
    ["environ", environment, ENVIRONMENT_OCTETS_MAX, parts + 40n],
  ] as const) {
    const opened = call(SYS.open, [text(`/proc/self/${name}`), O.CLOEXEC, 0]);
    const read = call(SYS.read, [opened.result, room, octetsMax]);
    read.stores.push(lengthAt);
    if (name === "cmdline") read.stores.push(cell(REQUEST.line));
    call(SYS.close, [opened.result]);
  }
  call(SYS.sendmsg, [session, program.words([0, 0, parts, 3, 0, 0, 0]), 0]);
  outside.stores.push(cell(REQUEST.session));
  const answer = program.words([0, 0, 0, 3, 0, 0, 0]);
  const receive = call(SYS.recvmsg, [session, answer, 0], { atLeast: STEPS_OCTETS });
  const data = ROOM_ADDRESS + BigInt(STEPS_OCTETS);
  const next = program.nextCell(receive);
  const rooms = [next, 8, ROOM_ADDRESS, STEPS_OCTETS, data, SENT_ADDRESS - data];
  const into = program.words(rooms);
  program.setWord(answer, 2, into);
  inside.next = ask;
  inside.stores.push(...outside.stores);
  return program.compile(first, {
    stackCell: cell(REQUEST.stack),
    environmentCells: [cell(REQUEST.environment), cold.environmentCell],
    before: [text(plan.node), text(plan.main)],
    argumentsCell: cold.argumentsCell,
  });
}

function coldStart(program: LaunchProgram, plan: LauncherPlan) {
  const lament = new TextEncoder().encode(
    `v2: ${plan.node} cannot be run; make the links again: node ${plan.main} links DIR\n`,
  );
  const STANDARD_ERROR = 2;
  const NOT_FOUND = 127;
  const end = program.detached(SYS.exit_group, [NOT_FOUND]);
  const say = program.detached(SYS.write, [STANDARD_ERROR, program.bytes(lament), lament.length], {
    onFailure: end,
  });
  say.next = end;
  const step = program.detached(SYS.execve, [program.string(plan.node), 0, 0], { onFailure: say });
  return {
    step,
    argumentsCell: program.argumentCell(step, 1),
    environmentCell: program.argumentCell(step, 2),
  };
}

/** What a native launcher has sent. */
export interface LaunchRequest {
  /** Number of the session's descriptor in the launcher. */
  readonly session: number;
  readonly line: readonly string[];
  readonly environment: ReadonlyMap<string, string>;
  /** Where the launched process has its arguments and its environment. */
  readonly argumentsAt: Address;
  readonly environmentAt: Address;
  /** The step that makes a cold start. */
  readonly cold: Address;
  /** The errno cell of the launcher: the first of its data. */
  readonly errnoCell: Address;
}

/** Reads a request; undefined when it is of another version, or too long to be whole. */
export function parseRequest(octets: Uint8Array): LaunchRequest | undefined {
  if (octets.length < REQUEST_OCTETS) return undefined;
  const view = new DataView(octets.buffer, octets.byteOffset);
  if (view.getUint32(REQUEST.version, true) !== LAUNCHER_VERSION) return undefined;
  const lineOctets = view.getUint32(REQUEST.line, true);
  const environmentOctets = octets.length - REQUEST_OCTETS - lineOctets;
  if (lineOctets >= LINE_OCTETS_MAX || environmentOctets < 0) return undefined;
  const strings = (from: number, to: number): string[] =>
    new TextDecoder().decode(octets.subarray(from, to)).split("\0").slice(0, -1);
  const middle = REQUEST_OCTETS + lineOctets;
  const environment = new Map<string, string>();
  for (const one of strings(middle, octets.length)) {
    const at = one.indexOf("=");
    if (at > 0) environment.set(one.slice(0, at), one.slice(at + 1));
  }
  return {
    session: view.getUint32(REQUEST.session, true),
    line: strings(REQUEST_OCTETS, middle),
    environment,
    argumentsAt: view.getBigUint64(REQUEST.stack, true) + 8n,
    environmentAt: view.getBigUint64(REQUEST.environment, true),
    cold: view.getBigUint64(REQUEST.cold, true),
    errnoCell: new LaunchProgram().errnoCell,
  };
}

/** Where the program of an answer will lie. */
export function answerPlace(request: LaunchRequest): ProgramPlace {
  return {
    steps: ROOM_ADDRESS,
    data: ROOM_ADDRESS + BigInt(STEPS_OCTETS),
    stepsMax: STEPS_MAX,
    errnoCell: request.errnoCell,
  };
}

/** The message with a program. @param entry its first step */
export function answerOctets(program: LaunchProgram, entry: Address): Uint8Array {
  const { steps, data } = program.segment();
  const octets = new Uint8Array(8 + STEPS_OCTETS + data.length);
  new DataView(octets.buffer).setBigUint64(0, entry, true);
  octets.set(steps, 8);
  octets.set(data, 8 + STEPS_OCTETS);
  return octets;
}
