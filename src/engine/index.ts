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
export {
  FILTERING_RUNGS,
  parseRung,
  probeRungs,
  type Rung,
  type RungReport,
  RUNGS,
} from "./rungs.ts";
export {
  becomeGuest,
  type Destination,
  existingView,
  newView,
  startSupervisor,
} from "./start.ts";
export {
  type RunOptions,
  type RunResult,
  type SpawnOptions,
  View,
  type ViewOptions,
} from "./view.ts";
export { parseViewNet, type ViewNet } from "./view-net.ts";
