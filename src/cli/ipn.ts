/**
 * `v2 ipn NAME`: a named bus for processes, in user space: the service of the address family AF_IPN
 * ("inter process networking"), which never entered Linux. What one member sends, all others get
 * (policy broadcast), or the ones it is for (policy switch).
 */
import { closeSync, mkdirSync, writeSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { EXIT, V2Error } from "../base/index.ts";
import { runDirectory } from "../engine/index.ts";
import { VdeServer } from "../plugs/index.ts";
import type { Invocation } from "./command.ts";
import { print } from "./output.ts";
import { list, serverOptions } from "./switch-options.ts";

const POLICIES = ["broadcast", "switch"];
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export async function run({ words, rest, options }: Invocation): Promise<number> {
  const [name, more] = [...words, ...rest];
  const policy = (options["policy"] as string | undefined) ?? "broadcast";
  if (name === undefined || more !== undefined) throw usage("ipn: one name is needed");
  if (!POLICIES.includes(policy)) throw usage(`ipn: --policy: '${policy}' is no policy`);
  const directory = directoryOf(name);
  const node = await VdeServer.start({
    ...serverOptions({ ...options, sock: directory }),
    isBus: policy === "broadcast",
    log: (line) => process.stderr.write(`v2 ipn: ${line}\n`),
  });
  try {
    for (const member of list(options["member"])) await node.plug(member);
    const ended = new Promise<void>((resolve) => {
      for (const signal of SIGNALS) process.once(signal, () => resolve());
    });
    print(`${node.directory}\n`);
    announceReady(options["ready-fd"] as string | undefined);
    await ended;
  } finally {
    await node.close();
  }
  return EXIT.ok;
}

/** A path stands for itself; a name for a directory of the user's. */
function directoryOf(name: string): string {
  if (name.includes("/")) return resolve(name);
  const directory = join(runDirectory(), "ipn", name);
  mkdirSync(dirname(directory), { recursive: true, mode: 0o700 });
  return directory;
}

function announceReady(text: string | undefined): void {
  if (text === undefined) return;
  const fd = Number(text);
  if (!Number.isInteger(fd) || fd < 0) throw usage(`ipn: --ready-fd: '${text}' is no descriptor`);
  writeSync(fd, "\n");
  if (fd > 2) closeSync(fd);
}

function usage(message: string): V2Error {
  return new V2Error("USAGE", message, { remedy: "see: v2 ipn --help", exitCode: EXIT.usage });
}
