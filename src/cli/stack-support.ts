/** What the commands of `v2 stack` share: a host for the time of a command, addresses, errors. */
import { EXIT, V2Error } from "../base/index.ts";
import { IpAddress } from "../lwipv6/index.ts";
import { StackHost } from "../plugs/index.ts";
import type { Invocation } from "./command.ts";

/** The configuration and the words behind it. @throws V2Error USAGE when words are missing. */
export function stackWords(
  { words, rest }: Invocation,
  command: string,
  least: number,
  most: number,
): readonly [conf: string, ...others: string[]] {
  const all = [...words, ...rest];
  if (all.length < 1 + least || all.length > 1 + most) {
    throw stackUsage(command, "a configuration is needed, and what to do with it");
  }
  return all as unknown as readonly [string, ...string[]];
}

/** A usage error of a command of `v2 stack`. */
export function stackUsage(command: string, message: string): V2Error {
  return new V2Error("USAGE", `stack ${command}: ${message}`, {
    remedy: `see: v2 stack ${command} --help`,
    exitCode: EXIT.usage,
  });
}

/** Brings a host up: a bare locator means an unconfigured cable. */
export async function openStack(text: string): Promise<StackHost> {
  const isLocator = !text.includes("=");
  return await StackHost.open(isLocator ? `vnl=${text}` : text, { name: `stack ${process.pid}` });
}

/** An option that is a number from `least` to `most`. */
export function numberOption(
  { options }: Invocation,
  command: string,
  name: string,
  preset: number,
  least: number,
  most: number,
): number {
  const text = options[name] as string | undefined;
  if (text === undefined) return preset;
  const value = Number(text);
  if (value >= least && value <= most) return value;
  throw stackUsage(command, `--${name}: '${text}' is not a number from ${least} to ${most}`);
}

/** Host and port of "10.0.0.1:80", "[fd00::1]:80", or of two words. */
export function hostAndPort(
  command: string,
  words: readonly string[],
): { readonly address: IpAddress; readonly port: number } {
  const joined = words.length === 2 ? undefined : /^\[?(.*?)\]?:(\d+)$/.exec(words[0] ?? "");
  const [host, port] = words.length === 2 ? words : [joined?.[1], joined?.[2]];
  const number = Number(port);
  if (host === undefined || !Number.isInteger(number) || number < 1 || number > 65_535) {
    throw stackUsage(command, `'${words.join(" ")}' is no address and port`);
  }
  return { address: IpAddress.parse(host), port: number };
}

/** Resolves with SIGINT, SIGTERM or SIGHUP. */
export async function untilSignal(): Promise<void> {
  await new Promise<void>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.once(signal, () => resolve());
    }
  });
}
