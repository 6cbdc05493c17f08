/** `v2 view`: runs a command in a view of its own. */
import { closeSync, openSync } from "node:fs";
import { EXIT, V2Error } from "../base/index.ts";
import {
  becomeGuest,
  claimViewName,
  newView,
  parseRung,
  parseViewNet,
  startSupervisor,
  TRACED_BY_DEFAULT,
  type TraceOptions,
} from "../engine/index.ts";
import { inheritedDescriptors } from "../sys/index.ts";
import { CLASS_GROUPS, isTrapName, parseMountSpec, SYSCALL_CLASSES } from "../viewos/index.ts";
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
  const wrong = asked.find((word) => !isTrapName(word));
  if (wrong !== undefined) {
    const known = [...Object.keys(CLASS_GROUPS), ...SYSCALL_CLASSES].join(", ");
    throw new V2Error("TRACE_CLASS", `--trace: '${wrong}' is no class and no system call`, {
      remedy: `classes are ${known}`,
      exitCode: EXIT.usage,
    });
  }
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
  const rung = parseRung((options["engine"] as string | undefined) ?? "auto");
  const words = [...invocation.words, ...invocation.rest];
  const argv = words.length > 0 ? words : [process.env["SHELL"] ?? "/bin/sh"];
  if (name !== undefined) claimViewName(name);
  const file = trace?.file === undefined ? undefined : openTraceFile(trace.file);
  const { pid, session, outside } = startSupervisor({
    root: options["root"] === true,
    orphan: true,
    config: { name, net, ...(trace === undefined ? {} : { trace: trace.options }) },
    ...(trace === undefined ? {} : { traceTo: file ?? STANDARD_ERROR }),
    ...(rung === undefined ? {} : { rung }),
  });
  if (file !== undefined) closeSync(file);
  const network = net.length > 0;
  const view = newView({ supervisorPid: pid, hostName: name, mounts, network, outside });
  becomeGuest(session, view, argv, inherited, trace?.options);
}
