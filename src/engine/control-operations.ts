/** What may be asked of a view through its control socket. */
import { EXIT, V2Error } from "../base/index.ts";
import type { ControlArguments } from "../viewos/index.ts";
import type { ControlCaller, ControlServer } from "./control-server.ts";
import { changeDebug } from "./debug-operation.ts";
import type { SharedSettings } from "./shared-settings.ts";
import type { ViewSettings } from "./view-settings.ts";
import type { ViewNames, ViewState } from "./view-state.ts";

/** Aliases of a view at most. */
const ALIASES_MAX = 100;
/** Longest name of a mount type, as far as aliases go. */
const TYPE_LENGTH_MAX = 64;

/** Makes the operations of views known that need nothing but the view itself. */
export function registerViewOperations(
  server: ControlServer,
  views: { get(number: number): ViewState | undefined },
): void {
  const register = (
    op: string,
    handler: (args: ControlArguments, view: ViewState, caller: ControlCaller) => unknown,
  ): void => {
    server.register(op, (args, caller) => {
      const view = views.get(caller.view);
      if (view === undefined) throw new V2Error("NO_VIEW", "the view is gone");
      return handler(args, view, caller);
    });
  };
  register("uname", (_, { number, name, rung }): ViewNames => {
    return { server: process.pid, view: number, name: name ?? "", rung: rung ?? null };
  });
  register("viewname", ({ name }, view) => {
    if (name === undefined) return view.name ?? "";
    if (typeof name !== "string") throw usage("'name' is a text");
    view.rename(name);
    return name;
  });
  register("fsalias", (args, view) => setAlias(args, view.settings));
  register("debug", (args, view, caller) => changeDebug(args, view, caller));
  register("shutdown", ({ seconds = 30 }, view, caller) => {
    if (typeof seconds !== "number" || !(seconds >= 0)) throw usage("'seconds' is a number");
    void shutDown(view, seconds, caller.pid);
  });
}

function usage(message: string): V2Error {
  return new V2Error("ARGUMENTS", message, { exitCode: EXIT.usage });
}

/** Adds or replaces an alias; without a type removes it. The aliases, when nothing is asked. */
function setAlias(
  { alias, type }: ControlArguments,
  settings: SharedSettings<ViewSettings>,
): ViewSettings["aliases"] {
  const { value } = settings;
  if (alias === undefined) return value.aliases;
  const isName = (text: unknown): text is string =>
    typeof text === "string" && text !== "" && text.length <= TYPE_LENGTH_MAX;
  if (!isName(alias) || !(type === undefined || isName(type))) {
    throw usage(`an alias and a type have 1 to ${TYPE_LENGTH_MAX} characters`);
  }
  const { [alias]: _, ...others } = value.aliases;
  if (type === undefined && !Object.hasOwn(value.aliases, alias)) {
    throw new V2Error("NO_ALIAS", `'${alias}' is no alias`, { exitCode: EXIT.notFound });
  }
  const aliases = type === undefined ? others : { ...others, [alias]: type };
  if (Object.keys(aliases).length > ALIASES_MAX) {
    throw new V2Error("TOO_MANY", `a view has ${ALIASES_MAX} aliases at most`, {
      remedy: "remove one: um_fsalias ALIAS",
    });
  }
  settings.write({ ...value, aliases });
  return aliases;
}

/** How often it is looked whether the last process has ended. */
const LOOK_MS = 50;

/** SIGTERM for all of a view, then SIGKILL for what is left after the time. */
async function shutDown(view: ViewState, seconds: number, callerPid: number): Promise<void> {
  const { processes } = view;
  const end = performance.now() + seconds * 1000;
  for (const pid of processes.list()) if (pid !== callerPid) terminate(pid);
  while (performance.now() < end && processes.list().length > 0) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  processes.kill();
}

function terminate(pid: number): void {
  try {
    process.kill(pid, "SIGTERM");
  } catch {
    // It has ended by itself.
  }
}
