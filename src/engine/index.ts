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
export { becomeGuest, type Destination, newView, startSupervisor } from "./start.ts";
export {
  type RunOptions,
  type RunResult,
  type SpawnOptions,
  View,
  type ViewOptions,
} from "./view.ts";
export { parseViewNet, type ViewNet } from "./view-net.ts";
export {
  FuseThread,
  mountFuse,
  mountVirtualFiles,
  OWN_FILE_SYSTEMS,
  type VirtualMount,
  type VirtualMountOptions,
} from "./fuse-mount.ts";
export type { FuseMountRequest } from "./fuse-worker.ts";
