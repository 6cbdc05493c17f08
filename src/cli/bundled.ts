/**
 * Commands whose start people wait for are also one file each (scripts/bundle.mjs): Node takes half
 * a millisecond for each file that it loads, and there are more than a hundred.
 */
import { statSync } from "node:fs";

const BUNDLES = new URL("../../bundle/", import.meta.url);
/** Written by each compilation in a checkout; an installed package has none. */
const COMPILED = new URL("../../.tsbuildinfo", import.meta.url);

const writtenMs = (file: URL): number => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;

/**
 * The module of a command from its bundle, or from its files where there is none, or one that is
 * older than what was compiled since.
 * @param name of the bundle
 * @param load imports the files
 */
export async function bundled<M>(name: string, load: () => Promise<M>): Promise<M> {
  const file = new URL(`${name}.js`, BUNDLES);
  const written = writtenMs(file);
  if (written === 0 || written < writtenMs(COMPILED)) return await load();
  return (await import(file.href)) as M;
}
