/** `v2 stack traceroute CONF ADDRESS`: the routers on the way from a stack of our own. */
import { EXIT } from "../base/index.ts";
import { IpAddress } from "../lwipv6/index.ts";
import { Pinger } from "../plugs/index.ts";
import type { Invocation } from "./command.ts";
import { print } from "./output.ts";
import { numberOption, openStack, stackWords } from "./stack-support.ts";

/** 0 when the target was reached. */
export async function run(invocation: Invocation): Promise<number> {
  const [conf, text] = stackWords(invocation, "traceroute", 1, 1);
  const target = IpAddress.parse(text!);
  const most = numberOption(invocation, "traceroute", "hops", 30, 1, 255);
  const wait = numberOption(invocation, "traceroute", "wait", 1, 0.01, 60);
  const isJson = invocation.options["json"] === true;
  await using host = await openStack(conf);
  const pinger = new Pinger(host.sockets, target);
  for (let hops = 1; hops <= most; hops++) {
    pinger.setHopLimit(hops);
    const answer = await pinger.ping(hops, 32, wait * 1000);
    const from = answer?.from.toString();
    if (isJson) print(`${JSON.stringify({ hops, from, milliseconds: answer?.milliseconds })}\n`);
    else if (answer === undefined) print(`${String(hops).padStart(2)}  *\n`);
    else print(`${String(hops).padStart(2)}  ${from}  ${answer.milliseconds.toFixed(2)} ms\n`);
    if (answer?.kind === "reply") return EXIT.ok;
    if (answer?.kind === "unreachable") break;
  }
  return EXIT.failed;
}
