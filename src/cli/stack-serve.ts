/** `v2 stack serve CONF DIR`: a small web server on a stack of our own. */
import { EXIT, V2Error } from "../base/index.ts";
import { printEnd } from "../lwipv6/index.ts";
import { serveDirectory } from "../plugs/index.ts";
import type { Invocation } from "./command.ts";
import { print } from "./output.ts";
import { numberOption, openStack, stackWords, untilSignal } from "./stack-support.ts";

export async function run(invocation: Invocation): Promise<number> {
  const words: readonly string[] = stackWords(invocation, "serve", 0, 1);
  const [conf, directory = "."] = words;
  const port = numberOption(invocation, "serve", "port", 80, 1, 65_535);
  await using host = await openStack(conf!);
  await using _server = serveDirectory(host.sockets, directory, port);
  const own = host.stack.addresses.all.filter((entry) => entry.interface === host.interface);
  for (const { address } of own) print(`http://${printEnd(address, port)}/\n`);
  const isGone = await Promise.race([untilSignal().then(() => false), host.gone.then(() => true)]);
  if (isGone) throw new V2Error("STACK_CABLE_GONE", "the cable's other side has gone");
  return EXIT.ok;
}
