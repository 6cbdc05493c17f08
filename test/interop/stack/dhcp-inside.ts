/**
 * Runs inside a network namespace of its own (started by stack-dhcp.test.ts): busybox's DHCP server
 * at the kernel's side of a TAP device, our client at the other. Prints one JSON object.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { StackHost, TapEnd } from "../../../src/plugs/index.ts";

const place = process.argv[2]!;
const end = new TapEnd("tap0");
for (const words of [
  ["link", "set", "lo", "up"],
  ["addr", "add", "10.99.0.1/24", "dev", "tap0"],
  ["link", "set", "tap0", "up"],
]) {
  spawnSync("ip", words);
}
const leases = join(place, "leases");
const file = join(place, "udhcpd.conf");
writeFileSync(leases, "");
writeFileSync(
  file,
  [
    "start 10.99.0.50",
    "end 10.99.0.60",
    "max_leases 11",
    "interface tap0",
    `lease_file ${leases}`,
    `pidfile ${join(place, "pid")}`,
    "option subnet 255.255.255.0",
    "option router 10.99.0.1",
    "option dns 10.99.0.53",
    "option lease 600",
    "",
  ].join("\n"),
);
const server = spawn("busybox", ["udhcpd", "-f", file], { stdio: ["ignore", "ignore", "pipe"] });
let log = "";
server.stderr.on("data", (octets: Buffer) => (log += octets.toString()));
await once(server.stderr, "data");
const host = await StackHost.open("dhcp", { end, name: "client" });
const { lease } = host.dhcp!;
const address = lease!.address.toString();
// Not spawnSync: the stack lives in this process, too.
const ping = spawn("ping", ["-c", "2", "-i", "0.2", "-W", "2", address]);
let answers = "";
ping.stdout.on("data", (octets: Buffer) => (answers += octets.toString()));
await once(ping, "close");
const ended = once(server, "exit");
await host.close();
await new Promise((resolve) => setTimeout(resolve, 200));
server.kill();
await ended;
process.stdout.write(
  `${JSON.stringify({
    address,
    bits: lease!.lengthBits,
    routers: lease!.routers.map(String),
    servers: lease!.nameServers.map(String),
    isAnswering: answers.includes(" 2 received"),
    log,
  })}\n`,
);
process.exit(0);
