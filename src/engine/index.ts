export {
  type ControlClient,
  controlOfOwnView,
  isInsideView,
  openControl,
} from "./control/control-client.ts";
export type { DebugState } from "./control/debug-operation.ts";
export type { ControlCaller, ControlHandler, ControlServer } from "./control/control-server.ts";
export type { PathTraps } from "./paths/path-traps.ts";
export {
  claimViewName,
  findView,
  listAllViews,
  listViews,
  namesIn,
  type RegisteredView,
  runDirectory,
  runFolder,
  runningView,
  sessionSocketPath,
  tidyRunDirectory,
} from "./server/run-directory.ts";
export { attachProcess, type AttachedProcess } from "./attach.ts";
export type { ViewRequest } from "./launch/launch-answer.ts";
export { identityMaps } from "./launch/launch.ts";
export { nativeLauncher } from "./launch/native-launcher.ts";
export { serverSocketPath } from "./server/view-server.ts";
export type { ViewTraps } from "./calls/view-traps.ts";
export { TRACED_BY_DEFAULT, type TraceOptions } from "./calls/tracer.ts";
export { type InsertOptions, parseInsertion } from "./modules/modules.ts";
export { ProgramModules } from "./modules/program-modules.ts";
export {
  FILTERING_RUNGS,
  parseRung,
  probeRungs,
  type Rung,
  type RungReport,
  RUNGS,
} from "./launch/rungs.ts";
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
export { parseViewNet, type ViewNet } from "./launch/view-net.ts";
export type { ViewNames } from "./control/view-state.ts";
export { connectToView } from "./control/view-session.ts";
export {
  FuseThread,
  mountFuse,
  mountVirtualFiles,
  OWN_FILE_SYSTEMS,
  type VirtualMount,
  type VirtualMountOptions,
} from "./fuse/fuse-mount.ts";
export type { FuseMountRequest } from "./fuse/fuse-worker.ts";
