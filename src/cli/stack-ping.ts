/** `v2 stack ping CONF ADDRESS`: echo requests from a stack of our own. */
import { setTimeout as sleep } from "node:timers/promises";
import { EXIT } from "../base/index.ts";
import { IpAddress } from "../lwipv6/index.ts";
import { Pinger } from "../plugs/index.ts";
import type { Invocation } from "./command.ts";
import { print } from "./output.ts";
import { numberOption, openStack, stackWords } from "./stack-support.ts";

/** As ping(8): 0 when an answer came, 1 when none did. */
export async function run(invocation: Invocation): Promise<number> {
  const [conf, text] = stackWords(invocation, "ping", 1, 1);
  const target = IpAddress.parse(text!);
  const count = numberOption(invocation, "ping", "count", 4, 1, 1_000_000);
  const size = numberOption(invocation, "ping", "size", 56, 0, 65_000);
  const interval = numberOption(invocation, "ping", "interval", 1, 0.01, 3600);
  const wait = numberOption(invocation, "ping", "wait", 2, 0.01, 3600);
  const isJson = invocation.options["json"] === true;
  await using host = await openStack(conf);
  const index = target.isLinkLocal ? (host.interface?.index ?? 0) : 0;
  const pinger = new Pinger(host.sockets, target, index);
  const times: number[] = [];
  for (let sequence = 1; sequence <= count; sequence++) {
    const answer = await pinger.ping(sequence, size, wait * 1000);
    const isReply = answer?.kind === "reply";
    if (isReply) times.push(answer.milliseconds);
    if (isJson) print(`${JSON.stringify(jsonOf(sequence, answer))}\n`);
    else if (answer === undefined) print(`no answer to ${sequence}\n`);
    else {
      const what = isReply ? `${size + 8} octets` : answer.kind;
      const ms = answer.milliseconds.toFixed(2);
      print(`${what} from ${answer.from.toString()}: seq=${sequence} time=${ms} ms\n`);
    }
    if (sequence < count) await sleep(interval * 1000);
  }
  pinger.close();
  if (!isJson) print(summary(count, times));
  return times.length > 0 ? EXIT.ok : EXIT.failed;
}

type Answer = Awaited<ReturnType<Pinger["ping"]>>;

function jsonOf(sequence: number, answer: Answer): object {
  if (answer === undefined) return { sequence, kind: "lost" };
  const { kind, milliseconds } = answer;
  return { sequence, kind, from: answer.from.toString(), milliseconds };
}

function summary(sent: number, times: readonly number[]): string {
  const head = `${sent} sent, ${times.length} answered`;
  if (times.length === 0) return `${head}\n`;
  const mean = times.reduce((sum, time) => sum + time, 0) / times.length;
  const [least, most] = [Math.min(...times), Math.max(...times)];
  return `${head}, min/avg/max ${[least, mean, most].map((ms) => ms.toFixed(2)).join("/")} ms\n`;
}
