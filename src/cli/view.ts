/** `v2 view`: runs a command in a view of its own. */
import { closeSync, openSync } from "node:fs";
import { EXIT, V2Error } from "../base/index.ts";
import {
  becomeGuest,
  claimViewName,
  identityMaps,
  newView,
  parseInsertion,
  parseRung,
  parseViewNet,
  type PathTraps,
  sessionOfOwnView,
  sessionWithServer,
  startSupervisor,
  TRACED_BY_DEFAULT,
  type TraceOptions,
  viewInside,
  type ViewTraps,
} from "../engine/index.ts";
import { inheritedDescriptors } from "../sys/index.ts";
import { CLASS_GROUPS, isTrapName, parseMountSpec, SYSCALL_CLASSES } from "../viewos/index.ts";
import type { Invocation } from "./command.ts";
import { isServed } from "./view-request.ts";
import { insertionSteps, withPreamble } from "./view-preamble.ts";
import { isPromptingShell, showInPrompt } from "./view-prompt.ts";

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

/** The options --trap and --deny: the second asks for all calls that name files. */
function parsePathTraps(options: Invocation["options"]): PathTraps | undefined {
  const words = options["trap"] as string | undefined;
  const deny = list(options["deny"]);
  if (words === undefined && deny.length === 0) return undefined;
  const calls = words === undefined || deny.length > 0 ? ["path"] : words.split(",");
  const wrong = calls.find((word) => word !== "writing" && !isTrapName(word));
  if (wrong !== undefined) {
    throw new V2Error("TRAP_CLASS", `--trap: '${wrong}' is no class and no system call`, {
      remedy: "the classes that name files are path, path-read, path-write, and writing",
      exitCode: EXIT.usage,
    });
  }
  const relative = deny.find((path) => !path.startsWith("/"));
  if (relative !== undefined) {
    throw new V2Error("USAGE", `--deny: '${relative}' is no absolute path`, {
      remedy: "give the path as the view has it, from / on",
      exitCode: EXIT.usage,
    });
  }
  return { calls, deny };
}

function openTraceFile(file: string): number {
  try {
    return openSync(file, "w");
  } catch (cause) {
    throw new V2Error("TRACE_FILE", `--trace-to ${file}: ${(cause as Error).message}`, { cause });
  }
}

/** The shell whose prompt shows the view: the command, or what a start-up script ends in. */
function promptingShell(
  options: Invocation["options"],
  argv: readonly string[],
): string | undefined {
  const named = options["prompt-for"] as string | undefined;
  return named ?? (isPromptingShell(argv) ? argv[0] : undefined);
}

/** Only the filter of the outermost view can send calls to a supervisor. */
function noTrapsInside(option: string): V2Error {
  return new V2Error("TRAPS_INSIDE", `a view inside a view cannot begin with --${option}`, {
    remedy: `give it to the outermost view: v2 view --${option} -- CMD concerns all views in it`,
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
  const paths = parsePathTraps(options);
  const traps: ViewTraps = {
    ...(trace === undefined ? {} : { trace: trace.options }),
    ...(paths === undefined ? {} : { paths }),
    ...(options["setuid-root"] === true ? { setuidRoot: true } : {}),
  };
  const modules = list(options["module"]).map((text) => parseInsertion(text, process.cwd()));
  const rung = parseRung((options["engine"] as string | undefined) ?? "auto");
  const words = [...invocation.words, ...invocation.rest];
  const argv = words.length > 0 ? words : [process.env["SHELL"] ?? "/bin/sh"];
  const root = options["root"] === true;
  const network = net.length > 0;
  const facts = { net, ...(name === undefined ? {} : { name }) };
  const prompt = (label: string): void => {
    if (options["no-prompt"] !== true) showInPrompt(label, promptingShell(options, argv));
  };
  const session = sessionOfOwnView();
  if (session !== undefined) {
    if (trace !== undefined) throw noTrapsInside("trace");
    if (paths !== undefined) throw noTrapsInside("trap");
    if (name !== undefined) prompt(name);
    // The supervisor runs already: modules are put into the view from inside.
    const command = withPreamble(insertionSteps(list(options["module"])), argv);
    becomeGuest(session, viewInside({ facts, root, hostName: name, mounts }), command, inherited);
  }
  if (name !== undefined) claimViewName(name);
  const interpreter = new URL("./view-request.js", import.meta.url).href;
  const server = isServed(options) ? sessionWithServer(interpreter, network) : undefined;
  if (server !== undefined) {
    const { pid, session: way } = server;
    prompt(name ?? `view[${pid}]`);
    const maps = identityMaps(root);
    const view = { supervisorPid: pid, maps, facts, hostName: name, mounts, network };
    becomeGuest(way, newView(view), argv, inherited);
  }
  const file = trace?.file === undefined ? undefined : openTraceFile(trace.file);
  const supervisor = startSupervisor({
    root,
    orphan: true,
    config: { name, net, traps, modules, log: modules.length > 0 },
    ...(modules.length === 0 ? {} : { logTo: STANDARD_ERROR }),
    ...(trace === undefined ? {} : { traceTo: file ?? STANDARD_ERROR }),
    ...(rung === undefined ? {} : { rung }),
    filtering: options["filtering"] === true,
  });
  if (file !== undefined) closeSync(file);
  const { pid, session: first, outside } = supervisor;
  prompt(name ?? `view[${pid}]`);
  const to = { supervisorPid: pid, hostName: name, mounts, network, outside };
  becomeGuest(first, newView(to), argv, inherited, supervisor.traps);
}
