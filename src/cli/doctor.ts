/** `v2 doctor`: what this machine allows, and what to do where it does not. */
import { EXIT, V2Error } from "../base/index.ts";
import type { Finding } from "../sys/index.ts";
import type { Invocation } from "./command.ts";
import { columns, print, printJson } from "./output.ts";

/** The native interface itself may be what is missing: then nothing else can be tried. */
async function findings(): Promise<readonly Finding[]> {
  const koffi = { capability: "native interface (koffi)", neededFor: "everything", required: true };
  try {
    const { probeAll } = await import("../sys/index.ts");
    return [{ ...koffi, works: true, detail: "" }, ...probeAll()];
  } catch (error) {
    if (!(error instanceof V2Error)) throw error;
    const remedy = error.remedy === undefined ? {} : { remedy: error.remedy };
    return [{ ...koffi, works: false, detail: error.message, ...remedy }];
  }
}

/** "ok", or how bad it is that it is not. */
function stateOf({ works, required }: Finding): string {
  if (works) return "ok";
  return required ? "MISSING" : "absent";
}

/** The table for people: one row each, then a remedy for each row that is not ok. */
export function doctorReport(found: readonly Finding[]): string {
  const rows = found.map((one) => [
    one.capability,
    stateOf(one),
    one.neededFor + (one.detail === "" ? "" : ` (${one.detail})`),
  ]);
  const parts = [columns([["CAPABILITY", "STATE", "NEEDED FOR"], ...rows])];
  for (const { capability, works, remedy } of found) {
    if (works || remedy === undefined) continue;
    parts.push(`\n${capability}:\n${remedy.replaceAll(/^/gm, "    ")}\n`);
  }
  const missing = found.filter((one) => one.required && !one.works).length;
  parts.push(
    missing === 0
      ? "\nViews work here.\n"
      : `\nViews do not work here: ${missing} required ${missing === 1 ? "thing is" : "things are"} missing.\n`,
  );
  return parts.join("");
}

/** Exit code: EXIT.ok when everything required works, EXIT.unavailable otherwise. */
export async function run(invocation: Invocation): Promise<number> {
  const found = await findings();
  if (invocation.options["json"] === true) for (const one of found) printJson(one);
  else print(doctorReport(found));
  return found.every((one) => one.works || !one.required) ? EXIT.ok : EXIT.unavailable;
}
