/**
 * How the imports of module files are resolved: `virtualsquare/…` is this very package when no
 * other one is installed where the file lies. So a single file anywhere can be a module.
 */
import type { ResolveHook } from "node:module";

export const resolve: ResolveHook = async (specifier, context, next) => {
  if (!/^virtualsquare(?:\/|$)/.test(specifier)) return next(specifier, context);
  try {
    return await next(specifier, context);
  } catch {
    return next(specifier, { ...context, parentURL: import.meta.url });
  }
};
