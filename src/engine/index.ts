export {
  claimViewName,
  findView,
  listViews,
  namesIn,
  type RegisteredView,
  runDirectory,
  runFolder,
  sessionSocketPath,
  tidyRunDirectory,
} from "./run-directory.ts";
export { TRACED_BY_DEFAULT, type TraceOptions } from "./tracer.ts";
export { type InsertOptions, parseInsertion } from "./modules.ts";
export { becomeGuest, type Destination, newView, startSupervisor } from "./start.ts";
export {
  type RunOptions,
  type RunResult,
  type SpawnOptions,
  View,
  type ViewOptions,
} from "./view.ts";
export { parseViewNet, type ViewNet } from "./view-net.ts";
