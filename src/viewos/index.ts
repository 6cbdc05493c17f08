export * from "./control.ts";
export * from "./filter.ts";
export * from "./mount-options.ts";
export * from "./syscall-arguments.ts";
export * from "./syscall-numbers.ts";
export * from "./syscalls.ts";
export * from "./traps.ts";
