/**
 * The fd-store: a process of some pages that outlives the server of views. It keeps copies of what
 * the server cannot get again (the listeners of its views, their namespaces, its listening
 * sockets), and starts another server, which inherits them, when the server is killed.
 *
 * It is a launch program, so it decides nothing: a message of the server is a few system calls,
 * which it performs. With each message come descriptors, always as many, which land on known
 * numbers and are closed afterwards; what is to be kept, one of the calls has copied to another
 * number (dup3). The socket is a pair whose ends only these two processes have.
 */
import type { Step } from "../../sys/index.ts";
import { SYS_X86_64 as SYS } from "../../viewos/index.ts";
import type { Launcher } from "./launch-steps.ts";

/** Descriptors of the store; the server inherits all but the first. */
export const STORE = {
  /** The store's end of the socket. */
  own: 7,
  /** The server's. */
  server: 8,
  /** A semaphore (eventfd(2)): each new server costs one; with none left the store ends. */
  tries: 9,
  /** Another: from it a server that has taken over gives back what it cost. */
  credit: 10,
  /** Of the server: the first number that is free. */
  pidfd: 11,
  /** Where what comes with a message lands; from here on. */
  landing: 12,
  /** The first number for what is kept. */
  kept: 17,
} as const;

/** System calls in a message, and descriptors that come with it. */
export const STORE_CALLS = 5;
/** Octets of a call: its number and six arguments of 64 bits each. */
export const STORE_CALL_OCTETS = 56;

const SIGCHLD = 17;
const MSG_DONTWAIT = 0x40;
const WNOHANG = 1;
const POLLIN = 1;
const F_SETFD = 2;
const FD_CLOEXEC = 1;
const PR_SET_NAME = 15;
/** Standard input of a supervisor. */
const NULL_DEVICE = 0;
const DESCRIPTORS_MAX = 0xffffffff;
const SCM_RIGHTS_HEADER_OCTETS = 16;

/** What becomes of the process that the store forks. */
export interface StoredServer {
  /** The first one, which its starter waits for. @param self a step whose result is its number */
  readonly first: (self: Step) => void;
  /** One that takes over. */
  readonly next: () => void;
}

/**
 * Appends the store: the process that comes here stays, and its child becomes the server. Should it
 * fail to fork, it becomes the server itself.
 * @param session descriptor of the starter's session, which only the first server has
 */
export function keepStore(launcher: Launcher, session: number, server: StoredServer): void {
  const { program } = launcher;
  const name = program.string("v2 store");
  launcher.attempt(SYS.prctl, [PR_SET_NAME, name]);
  launcher.attempt(SYS.fcntl, [STORE.own, F_SETFD, FD_CLOEXEC]);
  // What comes next finds the same numbers free in each round.
  for (let fd = session + 1; fd < STORE.own; fd++) launcher.attempt(SYS.dup2, [NULL_DEVICE, fd]);
  launcher.attempt(SYS.close_range, [STORE.pidfd, DESCRIPTORS_MAX, 0]);
  const first = launcher.step("a process", SYS.clone, [SIGCHLD, 0, 0, 0, 0], 1);
  launcher.attempt(SYS.dup2, [NULL_DEVICE, session]);
  // struct pollfd: fd i32, events i16, revents i16.
  const watched = new Int32Array([STORE.own, POLLIN, -1, POLLIN]);
  const watching = program.bytes(new Uint8Array(watched.buffer));
  const watch = launcher.attempt(SYS.pidfd_open, [first.result, 0]);
  watch.stores.push(watching + 8n);

  const wait = launcher.attempt(SYS.poll, [watching, 2, -1]);
  const parts: (bigint | number)[] = [];
  // CMSG_SPACE(3) of that many: what the kernel leaves in the field of its length, too.
  const control = new Uint8Array(SCM_RIGHTS_HEADER_OCTETS + ((4 * STORE_CALLS + 7) & ~7));
  const header = program.words([0, 0, 0, STORE_CALLS, program.bytes(control), control.length, 0]);
  const arguments_ = [STORE.own, header, MSG_DONTWAIT];
  const receive = program.call(SYS.recvmsg, arguments_, { atLeast: 1 });
  for (let i = 0; i < STORE_CALLS; i++) {
    const call = launcher.attempt(SYS.getpid, []);
    parts.push(call.address, STORE_CALL_OCTETS);
  }
  program.setWord(header, 2, program.words(parts));
  const last = STORE.landing + STORE_CALLS - 1;
  launcher.attempt(SYS.close_range, [STORE.landing, last, 0]).next = wait;

  const reap = program.detached(SYS.wait4, [first.result, 0, WNOHANG, 0], { atLeast: 1 });
  reap.onFailure = wait;
  receive.onFailure = reap;
  launcher.continueAt(reap);
  launcher.attempt(SYS.close, [STORE.pidfd]);
  const token = program.bytes(new Uint8Array(8));
  const may = program.call(SYS.read, [STORE.tries, token, 8]);
  may.onFailure = program.detached(SYS.exit_group, [0]);
  const again = launcher.step("a process", SYS.clone, [SIGCHLD, 0, 0, 0, 0], 1);
  again.stores.push(...first.stores);
  again.next = watch;
  // In the child clone returns 0, which is below 1: that failure is its path.
  const child = (fork: Step, become: (self: Step) => void): void => {
    const self = program.detached(SYS.getpid, []);
    fork.onFailure = self;
    launcher.continueAt(self);
    become(self);
  };
  child(first, server.first);
  child(again, server.next);
}
