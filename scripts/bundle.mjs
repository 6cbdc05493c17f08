/**
 * Bundles the commands of src/cli/bundled.ts: `build/bundle/NAME.js` and what they share. What the
 * files find beside themselves (programs of workers, modules that come with v2) is found where it
 * was compiled to.
 */
import { rmSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { rollup } from "rollup";

const BUILD = join(dirname(dirname(fileURLToPath(import.meta.url))), "build");
const OUT = join(BUILD, "bundle");
const COMMANDS = ["view"];

/** `import.meta.url` of a bundled file is that of the file before it was bundled. */
const ownAddresses = {
  name: "own-addresses",
  resolveImportMeta(property, { moduleId }) {
    if (property !== "url") return null;
    return `new URL(${JSON.stringify(relative(OUT, moduleId))}, import.meta.url).href`;
  },
};

/** Who catches an error compares its class with the one in this file. */
const ERRORS = join(BUILD, "src", "base", "errors.js");
const sharedErrors = {
  name: "shared-errors",
  resolveId(source, importer) {
    if (importer === undefined || resolve(dirname(importer), source) !== ERRORS) return null;
    return { id: ERRORS, external: true };
  },
};

rmSync(OUT, { recursive: true, force: true });
const bundle = await rollup({
  input: Object.fromEntries(
    COMMANDS.map((name) => [name, join(BUILD, "src", "cli", `${name}.js`)]),
  ),
  external: (id) => !/^[./]/.test(id),
  plugins: [ownAddresses, sharedErrors],
  onwarn(warning, warn) {
    // The compiler's helper of `using` asks for a global one first; doors export what nobody takes.
    if (!["THIS_IS_UNDEFINED", "UNUSED_EXTERNAL_IMPORT"].includes(warning.code)) warn(warning);
  },
});
await bundle.write({
  dir: OUT,
  format: "es",
  compact: true,
  paths: { [ERRORS]: relative(OUT, ERRORS) },
  entryFileNames: "[name].js",
  chunkFileNames: "shared-[name]-[hash].js",
});
await bundle.close();
