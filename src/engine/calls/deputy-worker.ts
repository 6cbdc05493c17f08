/** A thread that performs calls in the name of their callers; see deputies.ts. */
import { parentPort, workerData } from "node:worker_threads";
import { ERRNO } from "../../base/index.ts";
import {
  bindSocket,
  connectSocket,
  FileCalls,
  fchownDescriptor,
  GuestMemory,
  O,
  setClock,
  setUmask,
  Standpoint,
  threadId,
} from "../../sys/index.ts";
import { callerOf } from "../paths/caller.ts";
import { ProcPaths } from "../paths/proc-paths.ts";
import { StandIn } from "../paths/stand-in.ts";
import { type Answer, failure, reply } from "./answer.ts";
import { DEPUTY, type DeputyCall, requestOf, statusOf } from "./deputies.ts";
import { interruptedErrno } from "./relief.ts";

const AF_UNIX = 1;

const words = workerData as Int32Array;
const files = new FileCalls();
const memory = new GuestMemory();
const paths = new ProcPaths();
const standpoint = new Standpoint();
const own = callerOf(process.pid, statusOf(process.pid), true, -1);
const standIn = new StandIn(files, standpoint.proc, own);
words[DEPUTY.thread] = threadId();

/** The call itself; 0 or more, or the negative errno. */
function perform({ caller, descriptor, act }: DeputyCall): number {
  switch (act.kind) {
    case "open": {
      const flags = act.flags & ~(O.CREAT | O.EXCL | O.NOFOLLOW);
      return files.openat(standpoint.proc, paths.own(descriptor), flags);
    }
    case "connect":
      return connectSocket(descriptor, act.address);
    case "bind":
      // A local socket is a file that is made.
      setUmask(caller.umask);
      return bindSocket(descriptor, act.address);
    case "chown": {
      const result = fchownDescriptor(descriptor, act.uid, act.gid);
      return result === -ERRNO.EINVAL ? -act.noId : result;
    }
    default:
      return setClock(act.call);
  }
}

/** The call, with the caller's rights. */
function inItsName(call: DeputyCall): number {
  try {
    if (!standIn.become(call.caller, false)) return -ERRNO.EPERM;
    standIn.exactly();
    Atomics.store(words, DEPUTY.acting, 1);
    return perform(call);
  } finally {
    Atomics.store(words, DEPUTY.acting, 0);
    Atomics.notify(words, DEPUTY.acting);
    standIn.rest();
  }
}

function isLocal({ act }: DeputyCall): boolean {
  return "address" in act && act.address[0] === AF_UNIX;
}

/** Local sockets have paths: the thread stands where the caller does. */
function inItsPlace(call: DeputyCall): number {
  if (!isLocal(call)) return inItsName(call);
  return standpoint.at(call.caller.tid, () => inItsName(call)) ?? -ERRNO.ESRCH;
}

function answerTo(call: DeputyCall): Answer {
  const { act, caller } = call;
  const result = inItsPlace(call);
  if (result === -ERRNO.EINTR) return failure(interruptedErrno(statusOf(caller.tid)));
  if (result < 0) return failure(-result);
  if (act.kind === "open") {
    return { kind: "descriptor", descriptor: result, closeOnExec: act.closeOnExec };
  }
  if (act.kind === "clock" && act.call.back !== undefined) {
    const written = memory.writeOctets(caller.tid, act.call.back, act.call.time!);
    if (!written) return failure(ERRNO.EFAULT);
  }
  return { kind: "value", value: BigInt(result) };
}

parentPort!.on("message", (call: DeputyCall) => {
  // It is the caller's if it still waits.
  const answer = requestOf(call).isValid() ? answerTo(call) : failure(ERRNO.ESRCH);
  if (call.descriptor >= 0) files.close(call.descriptor);
  reply(requestOf(call), answer);
  parentPort!.postMessage("done");
});
