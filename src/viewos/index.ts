export * from "./filter.ts";
export * from "./mount-options.ts";
export * from "./syscall-numbers.ts";
