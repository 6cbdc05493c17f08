export * from "./address.ts";
export * from "./bytes.ts";
export * from "./clock.ts";
export * from "./errno.ts";
export * from "./errors.ts";
export * from "./frame-pool.ts";
export * from "./rng.ts";
