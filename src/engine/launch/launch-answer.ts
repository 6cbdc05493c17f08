/** What the server sends to a native launcher: the program that makes its view. */
import { V2Error } from "../../base/index.ts";
import { LaunchProgram, O } from "../../sys/index.ts";
import { type MountSpec, SYS_X86_64 as SYS } from "../../viewos/index.ts";
import { build, candidatesOf, type Command, identityMaps } from "./launch.ts";
import { viewFilter } from "./launch-filter.ts";
import { Launcher } from "./launch-steps.ts";
import { answerOctets, answerPlace, type LaunchRequest, parseRequest } from "./native-launcher.ts";
import { claimViewName } from "../server/run-directory.ts";
import { filterTraps } from "../calls/view-traps.ts";
import type { ViewNet } from "./view-net.ts";

const CLONE_NEWUSER = 0x10000000;
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
const TIMEVAL_OCTETS = 16;

/** A view that a command line asks for. */
export interface ViewRequest {
  readonly name: string | undefined;
  readonly root: boolean;
  readonly net: readonly ViewNet[];
  readonly mounts: readonly MountSpec[];
  /** The command: words of the command line from that one on. */
  readonly firstWord: number;
}

/**
 * Reads a command line; undefined when it is not for the server: another command, help, a mistake,
 * something that needs a supervisor of its own.
 */
export type Interpreter = (line: readonly string[]) => ViewRequest | undefined;

/** Answers native launchers; what is the same for all of them is made once. */
export class LaunchAnswers {
  readonly #interpret: Interpreter;
  readonly #traps = filterTraps({});
  readonly #filter: Uint8Array;

  constructor(interpret: Interpreter) {
    this.#interpret = interpret;
    // The message with the listener needs no rule: nothing traps it.
    this.#filter = viewFilter(-1, this.#traps);
  }

  /**
   * Answers a request; undefined: the launcher is to make a cold start. A view's name is claimed.
   */
  answer(
    octets: Uint8Array,
  ): { readonly octets: Uint8Array; readonly name: string | undefined } | undefined {
    try {
      const request = parseRequest(octets);
      const wanted = request === undefined ? undefined : this.#interpret(request.line);
      if (request === undefined || wanted === undefined) return undefined;
      const answer = this.#program(request, wanted);
      if (wanted.name !== undefined) claimViewName(wanted.name);
      return { octets: answer, name: wanted.name };
    } catch (error) {
      // A mistake of the user's: the cold start meets it again and tells it.
      if (error instanceof V2Error) return undefined;
      throw error;
    }
  }

  /** The program for a launcher outside of views. @throws V2Error when it is too long. */
  #program(request: LaunchRequest, wanted: ViewRequest): Uint8Array {
    const program = new LaunchProgram(answerPlace(request));
    const launcher = new Launcher(request.session, program);
    const forever = program.words([0, 0]);
    const timeout = [SOL_SOCKET, SO_RCVTIMEO, forever, TIMEVAL_OCTETS] as const;
    const entry = launcher.step("session", SYS.setsockopt, [request.session, ...timeout]);
    // A launcher from another world (a container with the same /tmp) gets no further than here.
    const otherwise = { onFailure: request.cold };
    const users = program.string(`/proc/${process.pid}/ns/user`);
    const opened = program.call(SYS.open, [users, O.CLOEXEC, 0], otherwise);
    program.call(SYS.setns, [opened.result, CLONE_NEWUSER], otherwise);
    launcher.attempt(SYS.close, [opened.result]);
    const { name, net, mounts } = wanted;
    build(launcher, {
      session: request.session,
      enter: {
        create: {
          supervisorPid: undefined,
          maps: identityMaps(wanted.root),
          facts: { net, ...(name === undefined ? {} : { name }) },
          hostName: name,
          mounts,
          network: net.length > 0,
        },
      },
      directory: undefined,
      isAfterNode: false,
      openFiles: undefined,
      traps: this.#traps,
      filter: this.#filter,
      command: commandOf(request, wanted.firstWord),
    });
    return answerOctets(program, entry.address);
  }
}

function commandOf(request: LaunchRequest, firstWord: number): Command {
  const name = request.line[firstWord]!;
  return {
    name,
    candidates: candidatesOf(name, request.environment.get("PATH")),
    argv: request.argumentsAt + BigInt(8 * firstWord),
    environment: request.environmentAt,
  };
}
