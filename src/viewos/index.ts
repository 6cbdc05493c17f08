export * from "./caller-rules.ts";
export * from "./conditions.ts";
export * from "./control.ts";
export * from "./debug-tags.ts";
export * from "./fake-kernel.ts";
export * from "./fake-tree.ts";
export * from "./filter.ts";
export * from "./login-command.ts";
export * from "./module-chain.ts";
export * from "./module.ts";
export * from "./module-stand-in.ts";
export * from "./mount-options.ts";
export * from "./operation-fields.ts";
export * from "./operations.ts";
export * from "./path-policy.ts";
export * from "./path-shapes.ts";
export * from "./stat-emit.ts";
export * from "./stat-layouts.ts";
export * from "./mount-table.ts";
export * from "./path-arguments.ts";
export * from "./path-walk.ts";
export * from "./script-line.ts";
export * from "./syscall-arguments.ts";
export * from "./syscall-numbers.ts";
export * from "./syscalls.ts";
export { quoteOctets } from "./syscall-text.ts";
export * from "./traps.ts";
export * from "./view-tree.ts";
export {
  type Awaitable,
  type VirtualCaller,
  type VirtualChange,
  type VirtualFiles,
  type VirtualStat,
  virtualFiles as vfs,
} from "../base/index.ts";
