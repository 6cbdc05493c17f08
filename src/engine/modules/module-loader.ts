/** Imports the file behind a module's name and finds the modules in it. */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { EXIT, V2Error } from "../../base/index.ts";
import { isModule, type Module, type ModuleSummary } from "../../viewos/index.ts";

/** What is to be inserted. */
export interface Insertion {
  /** Tells insertions apart, also of the same file: what is imported anew is read anew. */
  readonly number: number;
  /** A file (`./mine.js`, `/a/b.js`, `file:`), the name of a package, or that of a built-in one. */
  readonly specifier: string;
  /** Where relative files and packages are looked for. */
  readonly directory: string;
  /** Given to a module that is made by a function. */
  readonly options: { readonly [name: string]: string };
  readonly permanent: boolean;
  /** The module is an object of a program, which is asked; nothing is imported. */
  readonly program?: ModuleSummary;
}

/** Modules that come with the package: a file here is known by its name. */
const BUILT_IN = fileURLToPath(new URL("../../../../examples/modules/", import.meta.url));

function missing(specifier: string, why: string): V2Error {
  return new V2Error("NO_MODULE", `module '${specifier}': ${why}`, {
    remedy: "give a file (./mine.js), a package, or the name of a module that comes with v2",
    exitCode: EXIT.notFound,
  });
}

/** URL of the file that a specifier means. */
function locate({ specifier, directory }: Insertion): string {
  if (specifier.startsWith("file:")) return specifier;
  if (/^\.{0,2}\//.test(specifier)) {
    const file = resolve(directory, specifier);
    if (!existsSync(file)) throw missing(specifier, `there is no file ${file}`);
    return pathToFileURL(file).href;
  }
  const builtIn = join(BUILT_IN, `${specifier}.mjs`);
  if (existsSync(builtIn)) return pathToFileURL(builtIn).href;
  try {
    return pathToFileURL(createRequire(join(directory, "_")).resolve(specifier)).href;
  } catch {
    throw missing(specifier, `no module and no package of that name from ${directory}`);
  }
}

type Exports = { readonly [name: string]: unknown };
type ModuleMaker = (options: Insertion["options"]) => unknown;

function modulesIn(exports: Exports): unknown[] {
  if (exports["default"] !== undefined) return [exports["default"]].flat();
  return Object.values(exports).filter(isModule);
}

/**
 * The modules of a file, in its order: its default export (a module, several, or a function that
 * makes them from options), else every module that it exports.
 */
export async function loadModules(insertion: Insertion): Promise<readonly Module[]> {
  const { specifier, number, options } = insertion;
  const url = new URL(locate(insertion));
  url.searchParams.set("insertion", String(number));
  let found: unknown[];
  try {
    const exports = (await import(url.href)) as Exports;
    found = modulesIn(exports);
    const [maker] = found;
    if (typeof maker === "function") found = [await (maker as ModuleMaker)(options)].flat();
  } catch (cause) {
    const { message } = cause as Error;
    throw new V2Error("MODULE", `module '${specifier}': ${message}`, { cause });
  }
  const modules = found.filter(isModule);
  if (modules.length === 0 || modules.length !== found.length) {
    throw new V2Error("MODULE", `module '${specifier}': ${url.pathname} exports no module`, {
      remedy: 'import { module } from "virtualsquare/viewos" and export what it gives',
    });
  }
  return insertion.permanent ? modules.map((loaded) => ({ ...loaded, permanent: true })) : modules;
}
