/** A switch into which nothing is loaded. */
import { ERRNO } from "../base/index.ts";
import type { PluginManagement } from "../vde/index.ts";

/** Knows no plugin: whatever is asked for is not there. */
export const NO_PLUGINS: PluginManagement = Object.freeze({
  list: () => [],
  add: async () => ERRNO.ENOENT,
  remove: async () => ERRNO.ENOENT,
  run: async () => ({ error: ERRNO.ENOSYS, lines: [] }),
});
