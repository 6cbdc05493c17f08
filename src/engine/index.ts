export {
  type ControlClient,
  controlOfOwnView,
  isInsideView,
  openControl,
} from "./control-client.ts";
export type { DebugState } from "./debug-operation.ts";
export type { ControlCaller, ControlHandler, ControlServer } from "./control-server.ts";
export type { PathTraps } from "./path-traps.ts";
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
export type { ViewRequest } from "./launch-answer.ts";
export { identityMaps } from "./launch.ts";
export { nativeLauncher } from "./native-launcher.ts";
export { serverSocketPath } from "./view-server.ts";
export type { ViewTraps } from "./view-traps.ts";
export { TRACED_BY_DEFAULT, type TraceOptions } from "./tracer.ts";
export { type InsertOptions, parseInsertion } from "./modules.ts";
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
  sessionOfOwnView,
  sessionWithServer,
  startSupervisor,
  viewInside,
} from "./start.ts";
export {
  type RunOptions,
  type RunResult,
  type SpawnOptions,
  View,
  type ViewOptions,
} from "./view.ts";
export { parseViewNet, type ViewNet } from "./view-net.ts";
export type { ViewNames } from "./view-state.ts";
export { connectToView } from "./view-session.ts";
export {
  FuseThread,
  mountFuse,
  mountVirtualFiles,
  OWN_FILE_SYSTEMS,
  type VirtualMount,
  type VirtualMountOptions,
} from "./fuse-mount.ts";
export type { FuseMountRequest } from "./fuse-worker.ts";
