/** What may be asked of a view through its control socket. */
import { EXIT, V2Error } from "../../base/index.ts";
import type { ControlArguments } from "../../viewos/index.ts";
import type { ControlCaller, ControlServer } from "./control-server.ts";
import { changeDebug } from "./debug-operation.ts";
import type { ViewNames, ViewState } from "./view-state.ts";

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
  register("fsalias", ({ alias, type }, { aliases }) => {
    if (alias !== undefined) aliases.set(alias, type);
    return aliases.table();
  });
  register("debug", (args, view, caller) => changeDebug(args, view, caller));
  register("shutdown", ({ seconds = 30 }, view, caller) => {
    if (typeof seconds !== "number" || !(seconds >= 0)) throw usage("'seconds' is a number");
    void shutDown(view, seconds, caller.pid);
  });
}

function usage(message: string): V2Error {
  return new V2Error("ARGUMENTS", message, { exitCode: EXIT.usage });
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
