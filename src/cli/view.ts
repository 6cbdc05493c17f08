/** `v2 view`: runs a command in a view of its own. */
import { closeSync, openSync } from "node:fs";
import { EXIT, V2Error } from "../base/index.ts";
import {
  becomeGuest,
  claimViewName,
  newView,
  parseInsertion,
  parseViewNet,
  startSupervisor,
  TRACED_BY_DEFAULT,
  type TraceOptions,
} from "../engine/index.ts";
import { inheritedDescriptors } from "../sys/index.ts";
import {
  CLASS_GROUPS,
  isTrapName,
  parseMountSpec,
  SYSCALL_CLASSES,
  type Trap,
} from "../viewos/index.ts";
import type { Invocation } from "./command.ts";

const STANDARD_ERROR = 2;

function list(value: Invocation["options"][string]): readonly string[] {
  return Array.isArray(value) ? (value as readonly string[]) : [];
}

/** A trace that is wanted, and the file it goes to: undefined for standard error. */
interface Trace {
  readonly options: TraceOptions;
  readonly file: string | undefined;
}

function checkCalls(option: string, words: readonly string[]): void {
  const wrong = words.find((word) => !isTrapName(word));
  if (wrong === undefined) return;
  const known = [...Object.keys(CLASS_GROUPS), ...SYSCALL_CLASSES].join(", ");
  throw new V2Error("TRACE_CLASS", `${option}: '${wrong}' is no class and no system call`, {
    remedy: `classes are ${known}`,
    exitCode: EXIT.usage,
  });
}

/** The option --trap: what modules that are inserted later can answer. */
function parseTraps(options: Invocation["options"]): readonly Trap[] {
  const calls = list(options["trap"]).flatMap((words) => words.split(","));
  checkCalls("--trap", calls);
  return calls.length === 0 ? [] : [{ calls }];
}

/** The options --trace, --trace-to and --json; each of the first two asks for a trace. */
function parseTrace(options: Invocation["options"]): Trace | undefined {
  const words = options["trace"] as string | undefined;
  const file = options["trace-to"] as string | undefined;
  const json = options["json"] === true;
  if (words === undefined && file === undefined) {
    if (!json) return undefined;
    throw new V2Error("USAGE", "--json is the form of a trace", {
      remedy: "add --trace",
      exitCode: EXIT.usage,
    });
  }
  const asked = words === undefined || words === "" ? TRACED_BY_DEFAULT : words.split(",");
  checkCalls("--trace", asked);
  return { options: { calls: asked, json }, file };
}

function openTraceFile(file: string): number {
  try {
    return openSync(file, "w");
  } catch (cause) {
    throw new V2Error("TRACE_FILE", `--trace-to ${file}: ${(cause as Error).message}`, { cause });
  }
}

/** Never returns on success: this process becomes the command. */
export async function run(invocation: Invocation): Promise<number> {
  const inherited = inheritedDescriptors();
  const { options } = invocation;
  const name = options["name"] as string | undefined;
  const net = list(options["net"]).map(parseViewNet);
  const mounts = list(options["mount"]).map(parseMountSpec);
  const trace = parseTrace(options);
  const modules = list(options["module"]).map((text) => parseInsertion(text, process.cwd()));
  const traps = parseTraps(options);
  const words = [...invocation.words, ...invocation.rest];
  const argv = words.length > 0 ? words : [process.env["SHELL"] ?? "/bin/sh"];
  if (name !== undefined) claimViewName(name);
  const file = trace?.file === undefined ? undefined : openTraceFile(trace.file);
  const {
    pid,
    session,
    traps: needed,
  } = startSupervisor({
    root: options["root"] === true,
    orphan: true,
    config: {
      name,
      net,
      modules,
      traps,
      ...(modules.length === 0 ? {} : { log: true }),
      ...(trace === undefined ? {} : { trace: trace.options }),
    },
    ...(modules.length === 0 ? {} : { logTo: STANDARD_ERROR }),
    ...(trace === undefined ? {} : { traceTo: file ?? STANDARD_ERROR }),
  });
  if (file !== undefined) closeSync(file);
  const view = newView({ supervisorPid: pid, hostName: name, mounts, network: net.length > 0 });
  becomeGuest(session, view, argv, inherited, [
    ...(trace === undefined ? [] : [{ calls: trace.options.calls }]),
    ...needed,
  ]);
}
