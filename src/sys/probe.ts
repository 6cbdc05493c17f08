/**
 * What this machine allows, tried and not guessed from versions: each probe does the thing, as the
 * user who asks, and says on refusal what to do about it. Used by `v2 doctor`, and by commands that
 * want to know before they start anything.
 */
import { spawnSync } from "node:child_process";
import { accessSync, closeSync, constants, openSync } from "node:fs";
import { delimiter, join } from "node:path";
import { ERRNO, errnoName, errnoText } from "../base/index.ts";
import { kernelParameter, namespaceRefusal, type ViewNamespace } from "./host-settings.ts";
import { declareSyscall, errno } from "./libc.ts";

/** What a probe found. */
export interface Finding {
  /** What was tried: "user namespaces", "/dev/net/tun", "qemu-system-x86_64". */
  readonly capability: string;
  readonly works: boolean;
  /** Why not, or a value worth knowing. */
  readonly detail: string;
  readonly neededFor: string;
  /** Without it no view runs, by whatever engine. */
  readonly required: boolean;
  /** What makes it work: a command to type, or text of a file to write. */
  readonly remedy?: string;
}

/** A probe that hangs is a refusal: none of them takes a tenth of a second. */
const PROBE_MS_MAX = 10_000;

interface Attempt {
  readonly works: boolean;
  readonly reason: string;
}

/** Runs a program for its exit code; the reason is the last line that it wrote. */
function attempt(program: string, words: readonly string[]): Attempt {
  const result = spawnSync(program, words, {
    encoding: "utf8",
    timeout: PROBE_MS_MAX,
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, LC_ALL: "C", PATH: searchPath() },
  });
  if (result.error !== undefined) return { works: false, reason: result.error.message };
  const lines = result.stderr.trim().split("\n");
  return { works: result.status === 0, reason: lines.at(-1) ?? "" };
}

/** PATH and the folders of system programs that ordinary users often lack. */
function searchPath(): string {
  return [process.env["PATH"] ?? "", "/usr/sbin", "/sbin", "/usr/local/sbin"].join(delimiter);
}

/** Where a program is found; undefined: nowhere. */
export function findProgram(name: string): string | undefined {
  for (const folder of searchPath().split(delimiter)) {
    if (folder === "") continue;
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // The next folder.
    }
  }
  return undefined;
}

/** A finding without its remedy when it works: there is nothing to do. */
function finding(fields: Finding): Finding {
  if (!fields.works) return fields;
  const { remedy: _, ...rest } = fields;
  return rest;
}

/** Launch programs of views are machine code, emitted for one processor so far. */
export function probeProcessor(): Finding {
  return finding({
    capability: "processor",
    works: process.arch === "x64",
    detail: process.arch,
    neededFor: "every view",
    required: true,
    remedy: "run views on x86_64; switches and cables work on every processor",
  });
}

/** unshare(1) in front of a program's words: was it the one that failed, and with ENOSPC? */
const isUnshareFailure = (reason: string): boolean => reason.startsWith("unshare:");
const isLimitReached = (reason: string): boolean => reason.endsWith(errnoText(ERRNO.ENOSPC));

const CONTAINER_REMEDY =
  "in a container: start it with a seccomp profile that allows unshare and clone " +
  "(docker: --security-opt seccomp=unconfined)";

/** Makes namespaces in a child, the user namespace as a view does: the child is uid 0 of it. */
function probeNamespace(
  kind: ViewNamespace,
  words: readonly string[],
  fields: Pick<Finding, "capability" | "neededFor" | "required">,
): Finding {
  const { works, reason } = attempt("unshare", ["-Ur", ...words]);
  const refusal = works ? undefined : namespaceRefusal(kind, undefined, isLimitReached(reason));
  // Nothing works without the first of them: its row tells why.
  const isFirst = kind === "user" || namespaceRefusal("user") === undefined;
  return finding({
    ...fields,
    works,
    detail: works ? "" : isFirst ? (refusal?.reason ?? reason) : "no user namespaces",
    remedy: isFirst ? (refusal?.remedy ?? CONTAINER_REMEDY) : "see user namespaces",
  });
}

/** User namespaces: what the best engines stand on. */
export function probeUserNamespaces(): Finding {
  const neededFor = "views as the kernel makes them, --root, --net";
  const fields = { capability: "user namespaces", neededFor, required: false };
  return probeNamespace("user", ["true"], fields);
}

/** Makes a mount inside a user and mount namespace of a child. */
export function probeMounts(): Finding {
  return probeNamespace("mnt", ["-m", "mount", "-t", "tmpfs", "none", "/tmp"], {
    capability: "mounts in a user namespace",
    neededFor: "mounts of a view",
    required: false,
  });
}

/** Host names of their own. */
export function probeHostNames(): Finding {
  return probeNamespace("uts", ["-u", "true"], {
    capability: "host name namespaces",
    neededFor: "host names of a view",
    required: false,
  });
}

/** Networks of their own. */
export function probeNetworks(): Finding {
  return probeNamespace("net", ["-n", "true"], {
    capability: "network namespaces",
    neededFor: "views with a network (--net), labs",
    required: false,
  });
}

const SECCOMP_GET_ACTION_AVAIL = 2;
const SECCOMP_RET_USER_NOTIF = 0x7fc00000;
/** seccomp(2) has the same number nowhere: by architecture of this Node. */
const SECCOMP_NUMBER: { readonly [architecture: string]: number } = { x64: 317, arm64: 277 };

/** Asks seccomp(2) whether it can hand system calls to a supervisor. */
export function probeSeccompNotify(): Finding {
  const number = SECCOMP_NUMBER[process.arch];
  const action = Buffer.alloc(4);
  action.writeUInt32LE(SECCOMP_RET_USER_NOTIF);
  let reason = `no system call number for ${process.arch}`;
  let works = false;
  if (number !== undefined) {
    type Call = (operation: number, flags: number, action: Uint8Array) => number;
    const call = declareSyscall<Call>(number, ["unsigned int", "unsigned int", "void *"]);
    works = call(SECCOMP_GET_ACTION_AVAIL, 0, action) === 0;
    reason = works ? "" : errnoText(errno());
  }
  return finding({
    capability: "seccomp user notification",
    works,
    detail: reason,
    neededFor: "views by namespaces, and without them",
    required: false,
    remedy: "a kernel from 5.0 with CONFIG_SECCOMP_FILTER; in a container, seccomp must be allowed",
  });
}

/** Opens a device for reading and writing, as its users would. */
function probeDevice(path: string, neededFor: string, remedyDenied: string): Finding {
  let detail = "";
  let code = "";
  try {
    closeSync(openSync(path, constants.O_RDWR));
  } catch (error) {
    const failure = error as NodeJS.ErrnoException;
    const number = -(failure.errno ?? 0);
    code = errnoName(number);
    detail = errnoText(number);
  }
  const isAbsent = code === "ENOENT" || code === "ENODEV" || code === "ENXIO";
  const module = path.slice(path.lastIndexOf("/") + 1);
  return finding({
    capability: path,
    works: code === "",
    detail,
    neededFor,
    required: false,
    remedy: isAbsent ? `sudo modprobe ${module}` : remedyDenied,
  });
}

/** TAP interfaces. */
export function probeTun(): Finding {
  return probeDevice(
    "/dev/net/tun",
    "tap: plugs, fast cables of views",
    "sudo chmod 0666 /dev/net/tun",
  );
}

/** FUSE servers mounted in a view. */
export function probeFuse(): Finding {
  return probeDevice("/dev/fuse", "FUSE file systems in a view", "sudo chmod 0666 /dev/fuse");
}

/** Hardware virtualization for QEMU. */
export function probeKvm(): Finding {
  return probeDevice(
    "/dev/kvm",
    "fast virtual machines (QEMU emulates without it)",
    "sudo usermod -aG kvm $USER, then log in again",
  );
}

/** Overlay file system mounted by an ordinary user (kernel 5.11, overlayfs userxattr). */
export function probeOverlay(): Finding {
  const script = [
    "mount -t tmpfs none /tmp && cd /tmp && mkdir l u w m",
    "mount -t overlay none -o userxattr,lowerdir=l,upperdir=u,workdir=w m",
  ].join(" && ");
  const { works, reason } = attempt("unshare", ["-Urm", "sh", "-c", script]);
  return finding({
    capability: "overlayfs in a user namespace",
    works,
    detail: works ? "" : reason,
    neededFor: "overlay mounts of a view (copy on write)",
    required: false,
    remedy: isUnshareFailure(reason)
      ? "see mounts in a user namespace"
      : "sudo modprobe overlay; a kernel from 5.11",
  });
}

/** A pair of virtual Ethernet interfaces in a network namespace of its own. */
export function probeVeth(): Finding {
  const ip = findProgram("ip");
  const words = ["-Urn", ip ?? "ip", "link", "add", "v2a", "type", "veth", "peer", "name", "v2b"];
  const { works, reason } = attempt("unshare", words);
  return finding({
    capability: "veth in a user namespace",
    works,
    detail: works ? "" : ip === undefined ? "the program 'ip' is missing" : reason,
    neededFor: "cables of views where /dev/net/tun is closed",
    required: false,
    remedy: isUnshareFailure(reason)
      ? "see network namespaces"
      : ip === undefined
        ? "sudo apt install iproute2"
        : "sudo modprobe veth",
  });
}

/** Yama's rule on who may look into a process; 3 forbids it to everybody. */
export function probePtrace(): Finding {
  const scope = kernelParameter("kernel.yama.ptrace_scope");
  return finding({
    capability: "ptrace scope",
    works: scope !== "3",
    detail: scope === undefined ? "no Yama" : `kernel.yama.ptrace_scope is ${scope}`,
    neededFor: "reading the arguments of a view's system calls; strace, gdb",
    required: true,
    remedy: "kernel.yama.ptrace_scope=1 in /etc/sysctl.d/60-v2.conf, then restart the machine",
  });
}

/** Programs that commands start when they are there: name, Debian package, use. */
const PROGRAMS = [
  ["vde_plug", "vdeplug", "comparison with the original VDE"],
  ["qemu-system-x86_64", "qemu-system-x86", "virtual machines on a switch"],
  ["squashfuse", "squashfuse", "SquashFS images in a view"],
  ["fuse2fs", "fuse2fs", "ext2/3/4 images in a view"],
  ["mksquashfs", "squashfs-tools", "making SquashFS images"],
  ["bwrap", "bubblewrap", "the comparison in benchmarks"],
  ["strace", "strace", "looking at system calls in a view"],
  ["gdb", "gdb", "debugging in a view"],
  ["ip", "iproute2", "looking at a view's network"],
  ["ping", "iputils-ping", "trying a view's network"],
] as const;

/** The optional programs, one finding each. */
export function probePrograms(): readonly Finding[] {
  return PROGRAMS.map(([name, debianPackage, neededFor]) => {
    const path = findProgram(name);
    return finding({
      capability: name,
      works: path !== undefined,
      detail: path ?? "not found",
      neededFor,
      required: false,
      remedy: `sudo apt install ${debianPackage}`,
    });
  });
}

/** Everything, required capabilities first. */
export function probeAll(): readonly Finding[] {
  return [
    probeProcessor(),
    probeUserNamespaces(),
    probeMounts(),
    probeHostNames(),
    probeSeccompNotify(),
    probePtrace(),
    probeTun(),
    probeFuse(),
    probeOverlay(),
    probeNetworks(),
    probeVeth(),
    probeKvm(),
    ...probePrograms(),
  ];
}
