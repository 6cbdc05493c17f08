/** `v2 capture SWITCH[PORT]`: what reaches a cable of a switch, as pcapng. */
import { once } from "node:events";
import { isatty } from "node:tty";
import { EXIT, V2Error } from "../base/index.ts";
import { captureCable, type CaptureOptions } from "../plugs/index.ts";
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
  return await captureUntilSignal({
    vnl,
    target: given === "-" ? STDOUT : given,
    ...(host === undefined ? {} : { host }),
    ...(etherType === undefined ? {} : { etherType }),
    ...(count === undefined ? {} : { countMax: count }),
  });
}

/** Captures until SIGINT, SIGTERM or SIGHUP, and tells how much at the end. */
export async function captureUntilSignal(options: CaptureOptions): Promise<number> {
  const end = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    void once(process, signal).then(() => end.abort());
  }
  const { written, dropped } = await captureCable({ ...options, signal: end.signal }, () =>
    process.stderr.write(`v2 capture: plugged into ${options.vnl}\n`),
  );
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
