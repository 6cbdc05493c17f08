/**
 * `v2 capture SWITCH[PORT]`: what reaches a cable of a switch, or what the switch itself sees of a
 * port, a VLAN or everything, as pcapng.
 */
import { once } from "node:events";
import { isatty } from "node:tty";
import { EXIT, V2Error } from "../base/index.ts";
import {
  captureCable,
  captureInside,
  type CaptureOptions,
  type CaptureResult,
  findConsole,
  type InsideCaptureOptions,
} from "../plugs/index.ts";
import { PORTS_MAX, printScope, type TapScope, VLAN_CREATE_MAX } from "../vde/index.ts";
import type { Invocation } from "./command.ts";

const ETHER_TYPES: { readonly [name: string]: number | undefined } = {
  ip: 0x0800,
  arp: 0x0806,
  vlan: 0x8100,
  ip6: 0x86dd,
};
const STDOUT = 1;

export async function run({ words, rest, options }: Invocation): Promise<number> {
  const [vnl, more] = [...words, ...rest];
  if (vnl === undefined || more !== undefined) {
    throw usage("capture: one switch is needed");
  }
  const given = (options["write"] as string | undefined) ?? "-";
  if (given === "-" && isatty(STDOUT)) {
    throw usage("capture: a capture is no text for a terminal");
  }
  const count = numberOf(options["count"] as string | undefined, "count", 2 ** 31);
  const host = options["host"] as string | undefined;
  const etherType = etherTypeOf(options["type"] as string | undefined);
  const common = {
    target: given === "-" ? STDOUT : given,
    ...(host === undefined ? {} : { host }),
    ...(etherType === undefined ? {} : { etherType }),
    ...(count === undefined ? {} : { countMax: count }),
  };
  const scope = scopeOf(options);
  if (scope === undefined) return await captureUntilSignal({ ...common, vnl });
  return await captureInsideUntilSignal({ ...common, console: findConsole(vnl), scope });
}

/** What the switch itself is to capture; undefined: nothing, a cable is plugged in. */
export function scopeOf(options: Invocation["options"]): TapScope | undefined {
  const [port, vlan, way] = ["port", "vlan", "direction"].map((name) => {
    const value = options[name];
    return typeof value === "string" && value !== "" ? value : undefined;
  });
  const isAll = options["all"] === true;
  if ([port, vlan].filter((text) => text !== undefined).length + Number(isAll) > 1) {
    throw usage("capture: one of --port, --vlan and --all");
  }
  const isInside = port !== undefined || vlan !== undefined || isAll;
  if (!isInside && way !== undefined) {
    throw usage("capture: --direction needs --port, --vlan or --all");
  }
  if (!isInside) return undefined;
  const direction = way ?? (isAll ? "in" : "both");
  if (direction !== "in" && direction !== "out" && direction !== "both") {
    throw usage(`capture: --direction: '${direction}' is not in, out or both`);
  }
  const place =
    port !== undefined
      ? { port: numberOf(port, "port", PORTS_MAX)! }
      : vlan === undefined
        ? {}
        : { vlan: vlan === "0" ? 0 : numberOf(vlan, "vlan", VLAN_CREATE_MAX)! };
  return { ...place, direction };
}

/** As `captureUntilSignal`, made by the switch itself. */
export async function captureInsideUntilSignal(options: InsideCaptureOptions): Promise<number> {
  return await untilSignal(
    (signal, onStart) => captureInside({ ...options, signal }, onStart),
    `v2 capture: ${options.console} captures ${printScope(options.scope)}\n`,
  );
}

/** Captures until SIGINT, SIGTERM or SIGHUP, and tells how much at the end. */
export async function captureUntilSignal(options: CaptureOptions): Promise<number> {
  return await untilSignal(
    (signal, onStart) => captureCable({ ...options, signal }, onStart),
    `v2 capture: plugged into ${options.vnl}\n`,
  );
}

async function untilSignal(
  capture: (signal: AbortSignal, onStart: () => void) => Promise<CaptureResult>,
  start: string,
): Promise<number> {
  const end = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    void once(process, signal).then(() => end.abort());
  }
  const { written, dropped } = await capture(end.signal, () => process.stderr.write(start));
  process.stderr.write(`v2 capture: ${written} frames written, ${dropped} dropped\n`);
  return EXIT.ok;
}

function etherTypeOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  return ETHER_TYPES[text] ?? numberOf(text, "type", 0xffff);
}

function numberOf(text: string | undefined, name: string, max: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (Number.isInteger(value) && value > 0 && value <= max) return value;
  throw usage(`capture: --${name}: '${text}' is not a number from 1 to ${max}`);
}

function usage(message: string): V2Error {
  return new V2Error("USAGE", message, {
    remedy: "see: v2 capture --help",
    exitCode: EXIT.usage,
  });
}
