/**
 * Where plugins come from. A name with a slash is a path; every name is looked for in the user's
 * folder, then among those that are built in. Each is tried as it stands and with the suffixes of
 * JavaScript. A name with ".so", as in start files of vde_switch, means the plugin built in under
 * that name: libraries of machine code cannot be loaded.
 */
import { statSync } from "node:fs";
import { homedir } from "node:os";
import { basename, extname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { V2Error } from "../base/index.ts";
import type { PluginMaker, PluginModule, SwitchPlugin } from "../vde/index.ts";
import { makeDump } from "./plugin-dump.ts";
import { makeIpLog } from "./plugin-iplog.ts";
import { makePdump } from "./plugin-pdump.ts";

const BUILT_IN: { readonly [name: string]: PluginMaker } = {
  dump: makeDump,
  iplog: makeIpLog,
  pdump: makePdump,
};
const SUFFIXES = ["", ".js", ".mjs", ".ts"];
/** Files that can be loaded; ".ts" where Node strips types. */
const LOADABLE = new Set([".js", ".mjs", ".cjs", ".ts", ".mts"]);

/** A plugin that was found and not yet loaded. */
export interface FoundPlugin {
  /** Name of one that is built in, or path of a file: the same plugin has the same key. */
  readonly key: string;
  /** @throws anything, when the file has errors. */
  readonly load: () => Promise<SwitchPlugin | PluginMaker>;
}

/** The folder of a user's own plugins. */
export function pluginFolder(): string {
  return join(homedir(), ".vde2", "plugins");
}

/** @returns undefined: there is none. */
export function findPlugin(name: string, folder: string): FoundPlugin | undefined {
  const paths = [...(name.includes("/") ? [resolve(name)] : []), join(folder, name)];
  for (const path of paths.flatMap((start) => SUFFIXES.map((suffix) => start + suffix))) {
    const status = statSync(path, { throwIfNoEntry: false });
    if (status?.isFile() !== true || !LOADABLE.has(extname(path))) continue;
    return { key: path, load: async () => await loadFile(path, status.mtimeMs) };
  }
  const key = basename(name, ".so");
  if (!Object.hasOwn(BUILT_IN, key)) return undefined;
  return { key, load: async () => BUILT_IN[key]! };
}

/** A file that changed since it was loaded is loaded anew. */
async function loadFile(path: string, mtimeMs: number): Promise<SwitchPlugin | PluginMaker> {
  const url = pathToFileURL(path);
  url.searchParams.set("changed", String(mtimeMs));
  const module = (await import(url.href)) as Partial<PluginModule>;
  if (module.default !== undefined) return module.default;
  throw new V2Error("BAD_PLUGIN", `'${path}' exports no plugin`, {
    remedy: "Export a plugin, or a function that makes one, as default.",
  });
}

/** @throws V2Error BAD_PLUGIN with what is wrong. */
export function checkPlugin(plugin: unknown): asserts plugin is SwitchPlugin {
  const isText = (value: unknown): boolean => typeof value === "string" && !/[\n\r]/.test(value);
  const isMaybe = (value: unknown, type: string): boolean =>
    value === undefined || typeof value === type;
  const fail = (what: string): never => {
    throw new V2Error("BAD_PLUGIN", `a plugin's ${what}`, { remedy: "See docs/plugins.md." });
  };
  const { name, help, commands, categories, frame, close } = (plugin ?? {}) as {
    readonly [key: string]: unknown;
  };
  if (!isText(name) || name === "") fail("name is a text of one line");
  if (!isText(help)) fail("help is a text of one line");
  if (!isMaybe(frame, "function") || !isMaybe(close, "function")) {
    fail("frame and close are functions");
  }
  if (!Array.isArray(commands)) fail("commands are an array");
  for (const command of commands as { readonly [key: string]: unknown }[]) {
    const { path, syntax = "", help: text, run } = command;
    const isSound = isText(path) && path !== "" && isText(syntax) && isText(text);
    if (!isSound || !isMaybe(run, "function")) fail("command has a path, a help, a run");
  }
  if (categories === undefined) return;
  if (!Array.isArray(categories)) fail("categories are an array");
  for (const category of categories as { readonly [key: string]: unknown }[]) {
    const { path, tag, help: text } = category;
    const isTag = Number.isInteger(tag) && (tag as number) >= 0 && (tag as number) < 512;
    if (!isText(path) || !isText(text) || !isTag) fail("category has a path, a help, a tag");
  }
}
