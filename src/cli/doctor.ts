/** `v2 doctor`: what this machine allows, and what to do where it does not. */
import { EXIT, V2Error } from "../base/index.ts";
import type { RungReport } from "../engine/index.ts";
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

/** What each engine stands on. */
const ENGINE_TEXTS: { readonly [rung in RungReport["rung"]]: string } = {
  A: "user namespaces and FUSE",
  B: "user namespaces",
  C: "seccomp notification alone",
  D: "ptrace",
};

/** The ladder; nothing without the native interface, whose row says what is missing. */
async function ladder(): Promise<readonly RungReport[]> {
  try {
    const { probeRungs } = await import("../engine/index.ts");
    return probeRungs();
  } catch (error) {
    if (!(error instanceof V2Error)) throw error;
    return [];
  }
}

/** "ok", or how bad it is that it is not. */
function stateOf({ works, required }: Finding): string {
  if (works) return "ok";
  return required ? "MISSING" : "absent";
}

/** The table for people: one row each, then a remedy for each row that is not ok. */
export function doctorReport(found: readonly Finding[], rungs: readonly RungReport[]): string {
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
  parts.push(ladderReport(rungs));
  const best = rungs.find(({ works }) => works);
  parts.push(
    best === undefined
      ? "\nViews do not work here.\n"
      : `\nViews work here, by ${ENGINE_TEXTS[best.rung]} (engine ${best.rung}).\n`,
  );
  return parts.join("");
}

/** Which engine views get here, and why not a better one. */
export function ladderReport(rungs: readonly RungReport[]): string {
  if (rungs.length === 0) return "";
  const best = rungs.find(({ works }) => works);
  const rows = rungs.map((one) => {
    const state = one.works ? (one === best ? "used" : "ok") : "absent";
    return [`${one.rung} ${one.word}`, state, one.reason];
  });
  return `\n${columns([["ENGINE", "STATE", "WHY NOT"], ...rows])}`;
}

/** Exit code: EXIT.ok when there is an engine that works, EXIT.unavailable otherwise. */
export async function run(invocation: Invocation): Promise<number> {
  const found = await findings();
  const rungs = await ladder();
  if (invocation.options["json"] === true) for (const one of [...found, ...rungs]) printJson(one);
  else print(doctorReport(found, rungs));
  return rungs.some(({ works }) => works) ? EXIT.ok : EXIT.unavailable;
}
