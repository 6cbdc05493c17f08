/** BPDUs that Debian's vde_switch sent; how they came about is said in the fixture. */
import { readFileSync } from "node:fs";
import { fromHex } from "../src/base/index.ts";

/** The frames, in order. */
export function realBpdus(): Uint8Array[] {
  const path = new URL("../../test/fixtures/bpdu.txt", import.meta.url);
  return readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => fromHex(line)!);
}
