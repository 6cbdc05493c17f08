/** Sessions with named views that run. */
import { EXIT, V2Error } from "../../base/index.ts";
import { connectSession } from "../../sys/index.ts";
import { findView, sessionSocketPath } from "../server/run-directory.ts";

/**
 * Connects to the supervisor of a named view.
 * @throws V2Error SUPERVISOR_GONE when the view goes on without one, NO_VIEW when it is gone too
 */
export function connectToView(name: string): number {
  try {
    return connectSession(sessionSocketPath(name));
  } catch (cause) {
    const { code } = cause as V2Error;
    if (code !== "ECONNREFUSED" && code !== "ENOENT") throw cause;
    const view = findView(name);
    if (view === undefined) {
      throw new V2Error("NO_VIEW", `no view named '${name}' is running`, {
        remedy: "'v2 view list' shows the running ones",
        exitCode: EXIT.notFound,
        cause,
      });
    }
    throw new V2Error("SUPERVISOR_GONE", `the supervisor of view '${name}' has been killed`, {
      remedy: `what runs in the view goes on, but nothing can enter or mount any more: end it (kill ${view.pid} and its children), then start it again under that name`,
      exitCode: EXIT.unavailable,
      cause,
    });
  }
}
