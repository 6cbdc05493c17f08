/** `vumount` (viewmount): mount(2) without the checks of mount(8), for use inside a view. */
import { readFileSync } from "node:fs";
import { ERRNO, errnoName, errnoText, EXIT, V2Error } from "../base/index.ts";
import { mount } from "../sys/index.ts";
import { MS, parseMountOptions } from "../viewos/index.ts";
import type { Invocation } from "./command.ts";

function octets(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/**
 * `vumount [-t TYPE] [-o OPTIONS] [-rwBMR] SOURCE TARGET`; without words prints the mount table.
 */
export async function run(invocation: Invocation): Promise<number> {
  const { options } = invocation;
  const words = [...invocation.words, ...invocation.rest];
  if (words.length === 0) {
    process.stdout.write(readFileSync("/proc/self/mounts", "utf8"));
    return EXIT.ok;
  }
  const [source, target] = words;
  if (words.length !== 2 || source === undefined || target === undefined) {
    throw new V2Error("USAGE", "a source and a target are needed", {
      remedy: `example: ${invocation.calledAs} -t tmpfs none /mnt`,
      exitCode: EXIT.usage,
    });
  }
  const type = options["types"] as string | undefined;
  const letters = [
    ["bind", MS.BIND],
    ["rbind", MS.BIND | MS.REC],
    ["move", MS.MOVE],
    ["read-only", MS.RDONLY],
  ] as const;
  const asked = letters.reduce(
    (flags, [name, flag]) => flags | (options[name] === true ? flag : 0),
    0,
  );
  const parsed = parseMountOptions((options["options"] as string | undefined) ?? "", asked);
  const failure = mount(
    octets(source),
    octets(target),
    type === undefined ? null : octets(type),
    parsed.flags,
    parsed.data === "" ? null : octets(parsed.data),
  );
  if (failure === 0) return EXIT.ok;
  const remedy =
    failure === ERRNO.EPERM ? { remedy: "mounts without root work inside a view: v2 view" } : {};
  throw new V2Error(errnoName(failure), `${target}: ${errnoText(failure)}`, remedy);
}
