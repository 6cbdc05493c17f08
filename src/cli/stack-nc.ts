/** `v2 stack nc CONF HOST PORT` or `--listen PORT`: standard input and output over TCP or UDP. */
import { finished } from "node:stream/promises";
import { EXIT } from "../base/index.ts";
import { AF, SOCK, ANY_IPV6, type Sockets, waiting } from "../lwipv6/index.ts";
import { StackStream } from "../plugs/index.ts";
import type { Invocation } from "./command.ts";
import { hostAndPort, numberOption, openStack, stackUsage, stackWords } from "./stack-support.ts";

export async function run(invocation: Invocation): Promise<number> {
  const { options } = invocation;
  const isListening = options["listen"] !== undefined;
  const [conf, ...words] = stackWords(invocation, "nc", isListening ? 0 : 1, 2);
  if (isListening && words.length > 0) throw stackUsage("nc", "--listen takes no address");
  const port = numberOption(invocation, "nc", "listen", 0, 1, 65_535);
  const to = isListening ? undefined : hostAndPort("nc", words);
  await using host = await openStack(conf);
  const { sockets } = host;
  if (options["udp"] === true) return await datagrams(sockets, to, port);
  const fd = to === undefined ? await acceptOne(sockets, port) : await connectTo(sockets, to);
  const stream = new StackStream(sockets, fd);
  process.stdin.pipe(stream);
  stream.pipe(process.stdout, { end: false });
  await finished(stream);
  return EXIT.ok;
}

async function connectTo(sockets: Sockets, to: ReturnType<typeof hostAndPort>): Promise<number> {
  const fd = sockets.socket(AF.inet6, SOCK.stream);
  await waiting.connect(sockets, fd, to);
  return fd;
}

async function acceptOne(sockets: Sockets, port: number): Promise<number> {
  const listener = sockets.socket(AF.inet6, SOCK.stream);
  check(sockets.bind(listener, { address: ANY_IPV6, port }), `bind port ${port}`);
  check(sockets.listen(listener, 1), "listen");
  const fd = await waiting.accept(sockets, listener);
  sockets.close(listener);
  return fd;
}

/** One datagram for each chunk of input; answers go out as they come, until the input ends. */
async function datagrams(
  sockets: Sockets,
  to: ReturnType<typeof hostAndPort> | undefined,
  port: number,
): Promise<number> {
  const fd = sockets.socket(AF.inet6, SOCK.datagram);
  if (to === undefined) check(sockets.bind(fd, { address: ANY_IPV6, port }), `bind port ${port}`);
  let peer = to;
  const into = new Uint8Array(65_536);
  const over = new AbortController();
  const reading = (async (): Promise<void> => {
    for (;;) {
      const { count, from } = await waiting.receiveFrom(sockets, fd, into, over.signal);
      if (to === undefined && from !== undefined) peer = from;
      process.stdout.write(Buffer.from(into.subarray(0, count)));
    }
  })().catch((error: unknown) => {
    if (!over.signal.aborted) throw error;
  });
  for await (const chunk of process.stdin) {
    if (peer !== undefined) check(sockets.send(fd, chunk as Buffer, 0, peer), "send");
  }
  if (to === undefined) await reading;
  else await new Promise((resolve) => setTimeout(resolve, 200));
  over.abort();
  await reading;
  return EXIT.ok;
}

function check(result: number, what: string): void {
  if (result < 0) throw waiting.socketError(result, what);
}
