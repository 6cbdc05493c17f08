/** `v2 stack get CONF URL`: fetches over HTTP from a stack of our own. */
import { get, type IncomingMessage } from "node:http";
import { EXIT, V2Error } from "../base/index.ts";
import { AF, IpAddress, SOCK, waiting } from "../lwipv6/index.ts";
import { StackStream } from "../plugs/index.ts";
import type { Invocation } from "./command.ts";
import { openStack, stackUsage, stackWords } from "./stack-support.ts";

/** 0 for a status below 400; the body goes to standard output. */
export async function run(invocation: Invocation): Promise<number> {
  const [conf, text] = stackWords(invocation, "get", 1, 1);
  const url = URL.canParse(text!) ? new URL(text!) : undefined;
  if (url?.protocol !== "http:") {
    throw stackUsage("get", `'${text}' is no http://ADDRESS[:PORT]/PATH`);
  }
  const address = IpAddress.parse(url.hostname.replace(/^\[|\]$/g, ""));
  const port = Number(url.port || 80);
  await using host = await openStack(conf);
  const { sockets } = host;
  const fd = sockets.socket(AF.inet6, SOCK.stream);
  await waiting.connect(sockets, fd, { address, port });
  const stream = new StackStream(sockets, fd);
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    get(url, { createConnection: () => stream }, resolve).once("error", reject);
  });
  for await (const chunk of response) {
    if (process.stdout.write(chunk as Buffer)) continue;
    await new Promise<void>((resolve) => process.stdout.once("drain", () => resolve()));
  }
  stream.destroy();
  const { statusCode = 0, statusMessage = "" } = response;
  if (statusCode < 400) return EXIT.ok;
  throw new V2Error("HTTP", `${text}: ${statusCode} ${statusMessage}`);
}
