/**
 * Bundles the programs whose start people wait for: `build/bundle/NAME.js` and what they share.
 * Node takes half a millisecond for each file that it loads, and a view's programs have more than a
 * hundred. A bundled program starts bundled ones; what else the files find beside themselves
 * (other workers, modules that come with v2) is found where it was compiled to.
 */
import { rmSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { rollup } from "rollup";

const BUILD = join(dirname(dirname(fileURLToPath(import.meta.url))), "build");
const OUT = join(BUILD, "bundle");
/** Files of build/src, without their ending. */
const PROGRAMS = [
  "cli/view",
  "cli/view-request",
  "engine/server/supervisor",
  "engine/server/door-worker",
  "engine/calls/notify-worker",
  "engine/calls/relief-worker",
  "engine/outside/trace-worker",
];
const source = (program) => join(BUILD, "src", `${program}.js`);
const bundled = new Set(PROGRAMS.map(source));
/** It tells one installation from another by the file, not by the program that runs. */
const IDENTITY = source("engine/server/view-server");

const addresses = {
  name: "addresses",
  transform(code, id) {
    if (id === IDENTITY) return null;
    return code.replaceAll(/new URL\("(\.[^"]*\.js)", import\.meta\.url\)/g, (text, path) =>
      bundled.has(resolve(dirname(id), path))
        ? `new URL("./${basename(path)}", import.meta.bundle)`
        : text,
    );
  },
  /** `import.meta.url` of a bundled file is that of the file before it was bundled. */
  resolveImportMeta(property, { moduleId }) {
    if (property === "bundle") return "import.meta.url";
    if (property !== "url") return null;
    return `new URL(${JSON.stringify(relative(OUT, moduleId))}, import.meta.url).href`;
  },
};

/** Who catches an error compares its class with the one in this file. */
const ERRORS = source("base/errors");
const sharedErrors = {
  name: "shared-errors",
  resolveId(path, importer) {
    if (importer === undefined || resolve(dirname(importer), path) !== ERRORS) return null;
    return { id: ERRORS, external: true };
  },
};

rmSync(OUT, { recursive: true, force: true });
const bundle = await rollup({
  input: Object.fromEntries(PROGRAMS.map((program) => [basename(program), source(program)])),
  external: (id) => !/^[./]/.test(id),
  plugins: [addresses, sharedErrors],
  onwarn(warning, warn) {
    // The compiler's helper of `using` asks for a global one first; doors export what nobody takes.
    if (!["THIS_IS_UNDEFINED", "UNUSED_EXTERNAL_IMPORT"].includes(warning.code)) warn(warning);
  },
});
await bundle.write({
  dir: OUT,
  format: "es",
  compact: true,
  minifyInternalExports: false,
  paths: { [ERRORS]: relative(OUT, ERRORS) },
  entryFileNames: "[name].js",
  // Without a hash: a server that runs finds what it loads later under the same name.
  chunkFileNames: "shared-[name].js",
});
await bundle.close();
