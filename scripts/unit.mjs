/** Loads many test files into this one process; node:test runs what they register. */
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

const files = readFileSync(process.argv[2], "utf8").split("\n").filter(Boolean);
for (const file of files) {
  try {
    await import(pathToFileURL(file).href);
  } catch (error) {
    test(`${file} can be loaded`, () => {
      throw error;
    });
  }
}
