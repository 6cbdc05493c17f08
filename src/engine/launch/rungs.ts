/**
 * The ladder: four ways to give a process a view, from what the kernel does best to what it hardly
 * helps with. The highest rung that a machine allows is taken; each is probed by doing it.
 */
import { spawn, spawnSync } from "node:child_process";
import { accessSync, closeSync, constants, readFileSync } from "node:fs";
import { ERRNO, errnoText, EXIT, V2Error } from "../../base/index.ts";
import {
  executableInMemory,
  type Finding,
  kernelParameter,
  LaunchProgram,
  probeFuse,
  probeHostNames,
  probeMounts,
  probeProcessor,
  probePtrace,
  probeSeccompNotify,
  probeUserNamespaces,
  seize,
  waitForStop,
} from "../../sys/index.ts";
import { compileFilter, levelZeroRules, SYS_X86_64 as SYS } from "../../viewos/index.ts";

/** A rung, best first. */
export type Rung = "A" | "B" | "C" | "D";

/** What each rung stands on. */
export const RUNGS: { readonly [rung in Rung]: { readonly word: string; readonly text: string } } =
  {
    A: { word: "userns+fuse", text: "user namespaces and FUSE" },
    B: { word: "userns", text: "user namespaces" },
    C: { word: "notify", text: "seccomp notification alone" },
    D: { word: "ptrace", text: "ptrace" },
  };

/** Rungs where the kernel itself picks the calls that a supervisor sees: what kmview stands for. */
export const FILTERING_RUNGS: readonly Rung[] = ["A", "B", "C"];

/** What a probe says of a rung. */
export interface RungReport {
  readonly rung: Rung;
  readonly word: string;
  readonly works: boolean;
  /** Why not; "" when it works. */
  readonly reason: string;
  readonly remedy?: string;
}

/** The rung that a word of `--engine=` means; undefined: the best there is. */
export function parseRung(word: string): Rung | undefined {
  if (word === "auto") return undefined;
  const rungs = Object.keys(RUNGS) as Rung[];
  const found = rungs.find((rung) => rung === word.toUpperCase() || RUNGS[rung].word === word);
  if (found !== undefined) return found;
  throw new V2Error("ENGINE", `--engine: '${word}' is no engine`, {
    remedy: `engines are auto, ${rungs.map((rung) => `${rung} (${RUNGS[rung].word})`).join(", ")}`,
    exitCode: EXIT.usage,
  });
}

/** A or B: may FUSE servers mount here? */
export function rungWithNamespaces(): Rung {
  try {
    accessSync("/dev/fuse", constants.R_OK | constants.W_OK);
    return "A";
  } catch {
    return "B";
  }
}

const PR_SET_NO_NEW_PRIVS = 38;
const SECCOMP_SET_MODE_FILTER = 1;
const FILTER_NEW_LISTENER = 8;
const PROBE_MS_MAX = 5000;
/** An exit code is the low octet of a negative errno. */
const EXIT_CODES = 256;

/** Installs a filter with a listener, as a view does, in a child that ends at once. */
export function probeFilter(): Finding {
  const fields = {
    capability: "a filter with a listener",
    neededFor: "every view",
    required: true,
  };
  const program = new LaunchProgram();
  const filter = compileFilter(levelZeroRules());
  const descriptor = program.words([filter.length / 8, program.bytes(filter)]);
  const failed = program.detached(SYS.exit_group, [0]);
  const entry = program.call(SYS.prctl, [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0], { onFailure: failed });
  const install = [SECCOMP_SET_MODE_FILTER, FILTER_NEW_LISTENER, descriptor];
  program.call(SYS.seccomp, install, {
    onFailure: failed,
    storeAt: [program.argumentCell(failed, 0)],
  });
  program.call(SYS.exit_group, [0]);
  const executable = executableInMemory("v2-probe", program.compile(entry));
  try {
    const { status } = spawnSync(`/proc/self/fd/${executable}`, [], { timeout: PROBE_MS_MAX });
    if (status === 0) return { ...fields, works: true, detail: "" };
    const errno = status === null ? 0 : EXIT_CODES - status;
    return {
      ...fields,
      works: false,
      detail:
        errno === ERRNO.EBUSY ? "a supervisor watches this process already" : errnoText(errno),
      remedy:
        errno === ERRNO.EBUSY
          ? "start it outside of the view or container whose supervisor that is"
          : "in a container: allow seccomp (docker: --security-opt seccomp=unconfined)",
    };
  } finally {
    closeSync(executable);
  }
}

/** CAP_SYS_PTRACE of linux/capability.h. */
const CAP_SYS_PTRACE = 19n;

/** May we look into every process of our user namespace? */
function maySeeAll(): boolean {
  const found = /^CapEff:\s+([0-9a-f]+)/m.exec(readFileSync("/proc/self/status", "utf8"));
  return ((BigInt(`0x${found?.[1] ?? "0"}`) >> CAP_SYS_PTRACE) & 1n) === 1n;
}

/**
 * Yama's rule on who may look into a process that is no child of ours: from 1 on nobody may without
 * CAP_SYS_PTRACE, unless that process asks for it, which a guest's children do not; a tracer may.
 */
export function probeMemory(): Finding {
  const scope = kernelParameter("kernel.yama.ptrace_scope") ?? "0";
  const works = scope === "0" || (maySeeAll() && scope !== "3");
  return {
    capability: "memory of other processes",
    works,
    detail: works ? "" : `kernel.yama.ptrace_scope is ${scope}`,
    neededFor: "views without namespaces",
    required: false,
    ...(works ? {} : { remedy: "sudo sysctl -w kernel.yama.ptrace_scope=0" }),
  };
}

/** Traces a child. */
function probeTracing(): Finding {
  const fields = { capability: "ptrace", neededFor: "views without filters", required: false };
  const program = new LaunchProgram();
  const entry = program.call(SYS.pause, []);
  const executable = executableInMemory("v2-probe", program.compile(entry));
  try {
    const child = spawn(`/proc/self/fd/${executable}`, [], { stdio: "ignore" });
    const refused = child.pid === undefined ? 1 : seize(child.pid, 0);
    child.kill("SIGKILL");
    if (child.pid !== undefined && refused === 0) waitForStop(child.pid);
    child.unref();
    if (refused === 0) return { ...fields, works: true, detail: "" };
    return {
      ...fields,
      works: false,
      detail: errnoText(refused),
      remedy: "in a container: add the capability SYS_PTRACE (docker: --cap-add SYS_PTRACE)",
    };
  } finally {
    closeSync(executable);
  }
}

/** What each rung needs; the first that is refused tells why. */
const NEEDS: { readonly [rung in Rung]: readonly (() => Finding)[] } = (() => {
  const common = [probeProcessor, probeSeccompNotify, probeFilter, probePtrace];
  const namespaces = [...common, probeUserNamespaces, probeMounts, probeHostNames];
  return {
    A: [...namespaces, probeFuse],
    B: namespaces,
    C: [...common, probeMemory],
    D: [probeProcessor, probeTracing],
  };
})();

/** Tries every rung, best first. */
export function probeRungs(): readonly RungReport[] {
  const known = new Map<() => Finding, Finding>();
  const find = (probe: () => Finding): Finding => {
    const found = known.get(probe) ?? probe();
    known.set(probe, found);
    return found;
  };
  return (Object.keys(RUNGS) as Rung[]).map((rung) => {
    const missing = NEEDS[rung].map(find).find(({ works }) => !works);
    const { word } = RUNGS[rung];
    if (missing === undefined) return { rung, word, works: true, reason: "" };
    const { capability, detail, remedy } = missing;
    const reason = detail === "" ? capability : `${capability}: ${detail}`;
    return { rung, word, works: false, reason, ...(remedy === undefined ? {} : { remedy }) };
  });
}
