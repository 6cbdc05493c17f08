/**
 * One TCP stream of our stack on a TAP device, as fast as it goes: what bench/tcp-tap.ts and
 * tcp-vnet.ts measure.
 *
 *   stack-stream receive TAP MTU plain|offload PORT          takes connections for ever
 *   stack-stream send TAP MTU plain|offload PORT SECONDS     after a line of input sends to
 *   10.99.0.1
 *   stack-stream echo TAP MTU plain|offload PORT             sends back what it reads
 *
 * The stack is 10.99.0.2/24. Prints "ready", and what was sent as one JSON object.
 */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import {
  ANY_IPV4,
  defaultTcpOptions,
  IpAddress,
  Stack,
  type TcpConnection,
  TcpListener,
} from "../src/lwipv6/index.ts";
import { StackRunner, TapEnd } from "../src/plugs/index.ts";

const [mode, tap = "tap0", mtuText, kind, portText, secondsText = "1"] = process.argv.slice(2);
const port = Number(portText);
const BLOCK_OCTETS = 131_072;
const block = new Uint8Array(BLOCK_OCTETS);

const runner = new StackRunner();
const { clock } = runner;
const arena = { frames: 1024, blocks: 4096 };
const stack = new Stack({ secret: randomBytes(16), clock, arena });
const owner = runner.plug(stack, new TapEnd(tap, kind === "offload"), {
  name: "tp",
  macName: tap,
  mtuOctets: Number(mtuText),
});
stack.addAddress(owner, IpAddress.parse("10.99.0.2"), 24);

function listen(serve: (connection: TcpConnection) => void): void {
  const ends = {
    local: ANY_IPV4,
    localPort: port,
    interfaceIndex: 0,
    isIpv6Only: false,
    isShared: false,
  };
  const listener = stack.tcp.listen(ends, { ...defaultTcpOptions(), noDelay: true }, 16);
  if (!(listener instanceof TcpListener)) throw new Error(`listen: ${listener}`);
  listener.onReady = () => {
    for (let one = listener.accept(); one !== undefined; one = listener.accept()) {
      const connection = one;
      connection.onReady = () => serve(connection);
      serve(connection);
    }
  };
}

function sink(connection: TcpConnection): void {
  while (connection.read(block, 0, BLOCK_OCTETS) > 0);
  if (connection.hasFin) connection.close();
}

function echo(connection: TcpConnection): void {
  for (;;) {
    const count = connection.read(block, 0, BLOCK_OCTETS);
    if (count <= 0) break;
    connection.write(block, 0, count);
  }
  if (connection.hasFin) connection.close();
}

function send(seconds: number): void {
  const connection = stack.tcp.connect({ remote: IpAddress.parse("10.99.0.1"), remotePort: port });
  if (typeof connection === "number") throw new Error(`connect: ${connection}`);
  const startMs = clock.nowMs();
  let octets = 0;
  connection.onReady = () => {
    while (!connection.isEnding && connection.stateName === "ESTABLISHED") {
      if (clock.nowMs() - startMs > 1000 * seconds) {
        connection.shutdownWrite();
        break;
      }
      const taken = connection.write(block, 0, BLOCK_OCTETS);
      if (taken < 0) break;
      octets += taken;
    }
    if (!connection.hasFin && connection.stateName !== "CLOSED") return;
    const result = { octets, seconds: (clock.nowMs() - startMs) / 1000 };
    process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
  };
}

process.stdout.write("ready\n");
if (mode === "receive") listen(sink);
else if (mode === "echo") listen(echo);
else {
  await once(process.stdin, "data");
  send(Number(secondsText));
}
runner.run(() => false);
