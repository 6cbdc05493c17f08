/** The checkout as a file map: text files below the root, without what is installed or built. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { FileMap } from "./source.ts";

const LEFT_OUT = new Set(["node_modules", "build", ".git", "coverage"]);
const TEXT = /\.(?:ts|mts|mjs|js|json|md|yaml|yml|sh|svg|html|css|txt)$|^\.ci\/|^[^.]*$/;

/** Root of the checkout: compiled tests lie in build/test/tidy. */
export const ROOT = fileURLToPath(new URL("../../../", import.meta.url));

/** Reads the tree below `root`; a file with a NUL is not text. */
export function readTree(root: string): FileMap {
  const files = new Map<string, string>();
  const walk = (folder: string): void => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory() && !LEFT_OUT.has(entry.name)) walk(path);
      if (!entry.isFile() || !TEXT.test(path)) continue;
      const text = readFileSync(join(root, path), "utf8");
      if (!text.includes("\0")) files.set(path, text);
    }
  };
  walk("");
  return files;
}
