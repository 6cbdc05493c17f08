/** The version of the package, from its package.json: compiled files lie in build/src/cli. */
import { readFileSync } from "node:fs";

/** Version of this package, e.g. "0.1.0". */
export function version(): string {
  const text = readFileSync(new URL("../../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
