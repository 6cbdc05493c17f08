/** The door of the simulator: `virtualsquare/sim`. */
export * from "./link.ts";
export * from "./simulation.ts";
export * from "./square.ts";
export * from "./station.ts";
export * from "./switch-node.ts";
export * from "./topology.ts";
export * from "./stack-node.ts";
export * from "./stack-probe.ts";
