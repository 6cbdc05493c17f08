/**
 * What a tracer waits with for descriptors: waitpid(2) knows processes only. A child that does
 * nothing but poll(2) one descriptor is traced; when its call returns it stops, and the wait is
 * over.
 */
import { executableInMemory } from "./process.ts";
import { closeDescriptor } from "./session-socket.ts";
import { addressOf, check, declare } from "./libc.ts";
import { LaunchProgram } from "./launch-program.ts";
import { interrupt, REGISTER, registers, resumeToSyscall, seize, setRegisters } from "./ptrace.ts";
import { TRACE_OPTION } from "./ptrace.ts";

type Spawn = (
  pid: Int32Array,
  path: string,
  actions: Uint8Array,
  attributes: null,
  argv: bigint,
  environment: bigint,
) => number;
const spawnCall = declare<Spawn>(
  "int posix_spawn(void *pid, const char *path, void *actions, void *attributes, uint64_t argv, uint64_t environment)",
);
const actionsInit = declare<(actions: Uint8Array) => number>(
  "int posix_spawn_file_actions_init(void *actions)",
);
const actionsDup = declare<(actions: Uint8Array, fd: number, target: number) => number>(
  "int posix_spawn_file_actions_adddup2(void *actions, int fd, int target)",
);
const actionsDestroy = declare<(actions: Uint8Array) => number>(
  "int posix_spawn_file_actions_destroy(void *actions)",
);

/** posix_spawn_file_actions_t has 80 octets in glibc and less elsewhere. */
const ACTIONS_OCTETS = 256;
const CALL = { poll: 7, prctl: 157, close_range: 436 } as const;
const PR_SET_PDEATHSIG = 1;
const SIGKILL = 9;
const POLLIN = 1;
/** Descriptor of what is polled, in the child. */
const POLLED = 3;
const DESCRIPTORS_MAX = 0xffffffff;

/** The child. */
export class TracedBell {
  readonly pid: number;
  /** How long it may be silent, in milliseconds; -1: for ever. */
  patienceMs = -1;

  /** Traced by the calling thread, whose end it does not survive. @param fd is polled */
  constructor(fd: number) {
    const program = new LaunchProgram();
    const entry = program.call(CALL.prctl, [PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0], { mayFail: true });
    program.call(CALL.close_range, [POLLED + 1, DESCRIPTORS_MAX, 0], { mayFail: true });
    // struct pollfd: fd i32, events i16, revents i16.
    const polled = program.words([BigInt(POLLED) | (BigInt(POLLIN) << 32n)]);
    const poll = program.call(CALL.poll, [polled, 1, -1], { mayFail: true });
    poll.next = poll;
    poll.onFailure = poll;
    this.pid = spawn(program.compile(entry), fd);
    const { SYSGOOD, EXITKILL } = TRACE_OPTION;
    check(seize(this.pid, SYSGOOD | EXITKILL) === 0 ? 0 : -1, "ptrace", "the bell");
    interrupt(this.pid);
  }

  /** Lets it go on after a stop. */
  resume(): void {
    const words = registers(this.pid);
    if (words !== undefined && Number(words[REGISTER.originalRax]) === CALL.poll) {
      words[REGISTER.rdx] = BigInt.asUintN(64, BigInt(this.patienceMs));
      setRegisters(this.pid, words);
    }
    resumeToSyscall(this.pid);
  }

  /** Ends it; the wait for stops tells of that. */
  end(): void {
    process.kill(this.pid, "SIGKILL");
  }
}

function spawn(image: Uint8Array, fd: number): number {
  const executable = executableInMemory("v2-bell", image);
  const actions = new Uint8Array(ACTIONS_OCTETS);
  const name = new TextEncoder().encode("v2 bell\0");
  const argv = new BigUint64Array([addressOf(name), 0n]);
  const environment = new BigUint64Array(1);
  const pid = new Int32Array(1);
  const at = (words: BigUint64Array): bigint => addressOf(new Uint8Array(words.buffer));
  actionsInit(actions);
  try {
    actionsDup(actions, fd, POLLED);
    const path = `/proc/self/fd/${executable}`;
    const failed = spawnCall(pid, path, actions, null, at(argv), at(environment));
    check(failed === 0 ? 0 : -1, "posix_spawn", "the bell");
    return pid[0]!;
  } finally {
    actionsDestroy(actions);
    closeDescriptor(executable);
  }
}
