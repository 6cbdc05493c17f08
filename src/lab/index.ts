/** The door of the lab: topologies, and labs that run them. */
export { type CheckOutcome, type CheckResult, firstSquareChecks } from "./checks.ts";
export { Lab, type LabOptions } from "./lab.ts";
export { loadTopology, parseTopology } from "./load.ts";
export {
  findLab,
  forgetLog,
  type LabRecord,
  listLabs,
  makeLogPath,
  pruneLabs,
  runningLab,
  startTicksOf,
  viewName,
} from "./state.ts";
export { statusRows, statusTable, type StatusRow } from "./status.ts";
export type { Topology } from "./topology.ts";
