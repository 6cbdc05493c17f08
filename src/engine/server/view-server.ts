/**
 * The per-user server of views: a supervisor of many outermost views that stays for a while when
 * the last of them has ended, so that the next one starts without waiting for a Node to start.
 * It is found by a socket in the run directory. One that cannot take the socket serves the view it
 * was started for and ends with it.
 */
import { createHash } from "node:crypto";
import { fstatSync, openSync, rmSync, statSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  closeDescriptor,
  connectSession,
  isListening,
  listenAgain,
  listenSessions,
  nameSenders,
  namespaceId,
  namespacePath,
  parentUserNamespace,
  peerPid,
  receiveMessage,
  sendMessage,
} from "../../sys/index.ts";
import { MESSAGE } from "../launch/launch-steps.ts";
import { runDirectory, runDirectoryPath, tidyRunDirectory } from "./run-directory.ts";

/** How long a server stays when it has no view. */
const IDLE_S = 60;
/** The least: a launcher that was let in has that long to come back with its view. */
const IDLE_LEAST_S = 2;

/** The code that a server of this installation runs. */
const PROGRAM = fileURLToPath(new URL("./supervisor.js", import.meta.url));
/** Changes with every compilation in a checkout; an installed package has none. */
const BUILD = fileURLToPath(new URL("../../../.tsbuildinfo", import.meta.url));

/** Where the user's server listens: each installation has its own. */
export function serverSocketPath(): string {
  const hash = createHash("sha256").update(PROGRAM).digest("hex").slice(0, 12);
  return join(runDirectoryPath(), `server-${hash}`);
}

/** Differs when the program on disk is another than before: a server then takes no more views. */
export function programIdentity(): string {
  return [PROGRAM, BUILD]
    .map((path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0)
    .join();
}

/** Idle time, in milliseconds; the environment variable V2_SERVER_IDLE_S sets another. */
export function idleMs(environment: NodeJS.ProcessEnv): number {
  const text = environment["V2_SERVER_IDLE_S"] ?? "";
  const seconds = /^\d{1,6}$/.test(text) ? Number(text) : IDLE_S;
  return Math.max(seconds, IDLE_LEAST_S) * 1000;
}

/** The place of the user's server, taken. */
export interface ServerPlace {
  readonly listening: number;
  /** Gives the place free, unless another has taken it. */
  leave(): void;
}

/** Takes the place of the user's server; undefined when somebody has it. */
export function takeServerPlace(): ServerPlace | undefined {
  runDirectory();
  const path = serverSocketPath();
  if (isListening(path)) return undefined;
  // Left by a server that was killed. Of two that begin at once one is found here by nobody, and
  // ends with its first view.
  rmSync(path, { force: true });
  const listening = listenSessions(path);
  nameSenders(listening);
  return placeAt(path, listening);
}

/** The place that a server which is gone has had. @param listening its socket */
export function placeOf(listening: number): ServerPlace {
  listenAgain(listening);
  return placeAt(serverSocketPath(), listening);
}

function placeAt(path: string, listening: number): ServerPlace {
  const ino = statSync(path, { bigint: true, throwIfNoEntry: false })?.ino;
  return {
    listening,
    leave(): void {
      try {
        if (statSync(path, { bigint: true }).ino === ino) unlinkSync(path);
      } catch {
        // Gone already.
      }
      tidyRunDirectory();
    },
  };
}

/** A session with a server that will wait for what the launcher does with it. */
export interface ServerSession {
  readonly session: number;
  readonly pid: number;
}

/**
 * Was the server's user namespace made in ours? From another one (a container, a sandbox) the same
 * directory may be seen, but the server's views cannot be entered.
 */
function isOfOurWorld(pid: number): boolean {
  let theirs: number;
  try {
    theirs = openSync(namespacePath(pid, "user"), "r");
  } catch {
    return false;
  }
  const around = parentUserNamespace(theirs);
  closeDescriptor(theirs);
  if (around === -1) return false;
  const { ino } = fstatSync(around, { bigint: true });
  closeDescriptor(around);
  return ino === namespaceId("self", "user");
}

/** Comes in at the user's server; undefined when there is none. */
export function enterServer(): ServerSession | undefined {
  let session: number;
  try {
    session = connectSession(serverSocketPath());
  } catch {
    return undefined;
  }
  if (!isOfOurWorld(peerPid(session))) {
    closeDescriptor(session);
    return undefined;
  }
  // An empty message reads as the end of the session.
  const isLetIn =
    sendMessage(session, Uint8Array.of(MESSAGE.hello)) && receiveMessage(session) !== undefined;
  if (isLetIn) return { session, pid: peerPid(session) };
  closeDescriptor(session);
  return undefined;
}
