/** `v2 view`: runs a command in a view of its own. */
import { closeSync, openSync } from "node:fs";
import { EXIT, V2Error } from "../base/index.ts";
import {
  becomeGuest,
  claimViewName,
  enterServer,
  identityMaps,
  newView,
  parseViewNet,
  sessionOfOwnView,
  startSupervisor,
  TRACED_BY_DEFAULT,
  type TraceOptions,
  viewInside,
} from "../engine/index.ts";
import { inheritedDescriptors } from "../sys/index.ts";
import { CLASS_GROUPS, isTrapName, parseMountSpec, SYSCALL_CLASSES } from "../viewos/index.ts";
import type { Invocation } from "./command.ts";
import { isServed } from "./view-request.ts";

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

/** Starts the user's server; the first view need not wait until it runs. */
function startServer(): { readonly pid: number; readonly session: number } {
  const interpreter = new URL("./view-request.js", import.meta.url).href;
  const config = { name: undefined, net: [], interpreter };
  return startSupervisor({ root: false, orphan: true, config });
}

/** Only the filter of the outermost view can send calls to a supervisor. */
function noTraceInside(): V2Error {
  return new V2Error("TRACE_INSIDE", "a view inside a view cannot begin a trace", {
    remedy: "trace the outermost view: v2 view --trace -- CMD shows the calls of all views in it",
    exitCode: EXIT.unavailable,
  });
}

/** Never returns on success: this process becomes the command. */
export async function run(invocation: Invocation): Promise<number> {
  const inherited = inheritedDescriptors();
  const { options } = invocation;
  const name = options["name"] as string | undefined;
  const net = list(options["net"]).map(parseViewNet);
  const mounts = list(options["mount"]).map(parseMountSpec);
  const trace = parseTrace(options);
  const words = [...invocation.words, ...invocation.rest];
  const argv = words.length > 0 ? words : [process.env["SHELL"] ?? "/bin/sh"];
  const session = sessionOfOwnView();
  if (session !== undefined) {
    if (trace !== undefined) throw noTraceInside();
    const facts = { ...(name === undefined ? {} : { name }), net };
    const root = options["root"] === true;
    const destination = viewInside({ facts, root, hostName: name, mounts });
    becomeGuest(session, destination, argv, inherited);
  }
  if (name !== undefined) claimViewName(name);
  if (isServed(options)) {
    const { pid, session: way } = enterServer() ?? startServer();
    const facts = { net, ...(name === undefined ? {} : { name }) };
    const maps = identityMaps(options["root"] === true);
    const view = { supervisorPid: pid, maps, facts, hostName: name, mounts };
    becomeGuest(way, newView({ ...view, network: net.length > 0 }), argv, inherited);
  }
  const file = trace?.file === undefined ? undefined : openTraceFile(trace.file);
  const supervisor = startSupervisor({
    root: options["root"] === true,
    orphan: true,
    config: { name, net, ...(trace === undefined ? {} : { trace: trace.options }) },
    ...(trace === undefined ? {} : { traceTo: file ?? STANDARD_ERROR }),
  });
  if (file !== undefined) closeSync(file);
  const network = net.length > 0;
  const view = newView({ supervisorPid: supervisor.pid, facts: {}, hostName: name, mounts, network });
  becomeGuest(supervisor.session, view, argv, inherited, trace?.options);
}
