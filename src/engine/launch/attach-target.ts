/** What a running process must be like so that it can be taken into a view. */
import { closeSync, openSync, readFileSync, readlinkSync, readSync, statSync } from "node:fs";
import { EXIT, V2Error } from "../../base/index.ts";
import { kernelParameter, namespaceId } from "../../sys/index.ts";
import type { RegisteredView } from "../server/run-directory.ts";
import { markOf } from "./marked-processes.ts";

/** A process that nothing we know of forbids to take into a view. */
export interface AttachTarget {
  readonly pid: number;
  readonly threads: number;
  /** Its working directory; undefined: that has no path. */
  readonly directory: string | undefined;
}

const START_THERE = "start it in the view: v2 view exec NAME -- CMD";

function no(
  pid: number,
  code: string,
  why: string,
  remedy = START_THERE,
  exitCode?: number,
): never {
  throw new V2Error(code, `process ${pid} ${why}`, {
    remedy,
    exitCode: exitCode ?? EXIT.unavailable,
  });
}

/** The lines of /proc/PID/status (proc_pid_status(5)) by name; undefined: there is none. */
function statusOf(pid: number | "self"): ReadonlyMap<string, string> | undefined {
  try {
    const lines = readFileSync(`/proc/${pid}/status`, "utf8").split("\n");
    return new Map(
      lines.map((line) => {
        const colon = line.indexOf(":");
        return [line.slice(0, colon), line.slice(colon + 1).trim()];
      }),
    );
  } catch {
    return undefined;
  }
}

/**
 * Looks whether a process can be taken into a view, before anything is done to it.
 * @throws V2Error that says why not
 */
export function attachTarget(pid: number, view: RegisteredView): AttachTarget {
  const status = statusOf(pid);
  if (status === undefined) {
    throw new V2Error("ESRCH", `there is no process ${pid}`, { exitCode: EXIT.notFound });
  }
  const field = (name: string): string => status.get(name) ?? "";
  if (pid === process.pid) no(pid, "SELF", "is this command itself");
  if (field("Tgid") !== String(pid)) {
    no(pid, "THREAD", `is a thread of process ${field("Tgid")}`, "name the process");
  }
  if (/^[ZX]/.test(field("State"))) no(pid, "ZOMBIE", "has ended; its parent has yet to notice");
  if (!status.has("VmSize")) no(pid, "KERNEL_THREAD", "is a thread of the kernel");
  const user = String(process.geteuid!());
  if (
    field("Uid")
      .split(/\s+/)
      .some((uid) => uid !== user)
  ) {
    const why = "runs as another user, or with the rights of another";
    no(pid, "EPERM", why, "only your own processes can go into your views", EXIT.noPermission);
  }
  if (field("TracerPid") !== "0") {
    const why = `is traced already, by process ${field("TracerPid")}`;
    no(pid, "TRACED", why, "end that (a debugger, strace) first");
  }
  if (field("State").startsWith("T")) {
    no(pid, "STOPPED", "is stopped", `let it go on first: kill -CONT ${pid}, or fg`);
  }
  checkView(pid, view);
  checkPlace(pid);
  checkFilters(pid, status);
  if (is32Bit(pid)) no(pid, "32_BIT", "is a 32-bit program");
  const threads = Number(field("Threads"));
  if (threads > 1 && view.outside === undefined) {
    const why = `has ${threads} threads: the kernel lets only processes of one thread join a user namespace`;
    no(pid, "MULTI_THREADED", why);
  }
  return { pid, threads, directory: directoryOf(pid) };
}

/** It is in no view, and we may look at it. */
function checkView(pid: number, view: RegisteredView): void {
  const users = namespaceId(pid, "user");
  if (users === undefined) {
    const why = "cannot be looked into: it has had other rights, or hides its memory";
    no(pid, "EPERM", why, START_THERE, EXIT.noPermission);
  }
  const mark = markOf(pid);
  const isIn =
    view.outside === undefined ? String(users) === view.userNamespace : mark === view.outside.mark;
  if (isIn) no(pid, "ALREADY", `is in view '${view.name}' already`, "nothing is left to do");
  if (users !== namespaceId("self", "user")) {
    no(pid, "IN_A_VIEW", "is in another view, or has a user namespace of its own");
  }
  if (mark !== undefined) no(pid, "IN_A_VIEW", "is in another view");
}

/** It sees the files that we see. */
function checkPlace(pid: number): void {
  if (namespaceId(pid, "mnt") !== namespaceId("self", "mnt")) {
    no(pid, "OWN_MOUNTS", "has mounts of its own (a container, a service)");
  }
  const [theirs, ours] = [`/proc/${pid}/root/.`, "/"].map((path) => statSync(path));
  if (theirs!.dev !== ours!.dev || theirs!.ino !== ours!.ino) {
    no(pid, "OWN_ROOT", "has a root directory of its own (chroot)");
  }
}

/** A filter that we are not under might end the process for the calls that it is to make. */
function checkFilters(pid: number, status: ReadonlyMap<string, string>): void {
  const STRICT = "1";
  const count = (of: ReadonlyMap<string, string> | undefined): number =>
    Number(of?.get("Seccomp_filters") ?? 0);
  // Inside a view without namespaces one of ours is the view's.
  const own = count(statusOf("self")) - (markOf(process.pid) === undefined ? 0 : 1);
  if (status.get("Seccomp") !== STRICT && count(status) <= own) return;
  no(pid, "FILTERED", "has a seccomp filter of its own (a sandbox)");
}

const ELF_CLASS_AT = 4;
const ELF_CLASS_32 = 1;

function is32Bit(pid: number): boolean {
  const head = new Uint8Array(ELF_CLASS_AT + 1);
  const file = openSync(`/proc/${pid}/exe`, "r");
  try {
    readSync(file, head, 0, head.length, 0);
  } finally {
    closeSync(file);
  }
  return head[ELF_CLASS_AT] === ELF_CLASS_32;
}

function directoryOf(pid: number): string | undefined {
  const path = readlinkSync(`/proc/${pid}/cwd`);
  // What is not below the root, or removed, has no path that leads to it (proc_pid_cwd(5)).
  return path.startsWith("/") && !path.endsWith(" (deleted)") ? path : undefined;
}

/** What to do where ptrace(2) is refused. */
export function tracingRemedy(): string {
  const scope = kernelParameter("kernel.yama.ptrace_scope") ?? "0";
  if (scope === "0") return START_THERE;
  return `kernel.yama.ptrace_scope is ${scope}: sudo sysctl -w kernel.yama.ptrace_scope=0, or ${START_THERE}`;
}
