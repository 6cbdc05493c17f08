/** `v2 stack up CONF`: a host that stays, answers echo requests and tells what it is. */
import { EXIT } from "../base/index.ts";
import { printMac } from "../base/index.ts";
import type { StackHost } from "../plugs/index.ts";
import type { Invocation } from "./command.ts";
import { print } from "./output.ts";
import { openStack, stackWords, untilSignal } from "./stack-support.ts";

export async function run(invocation: Invocation): Promise<number> {
  const [conf] = stackWords(invocation, "up", 0, 0);
  await using host = await openStack(conf);
  print(invocation.options["json"] === true ? `${JSON.stringify(describe(host))}\n` : text(host));
  if (invocation.options["once"] === true) return EXIT.ok;
  await Promise.race([untilSignal(), host.gone]);
  return EXIT.ok;
}

function describe({ stack }: StackHost): object {
  return {
    interfaces: stack.interfaces.map((one) => ({
      name: one.name,
      index: one.index,
      isUp: one.isUp,
      mtu: one.mtuOctets,
      mac: one.link.mac === undefined ? undefined : printMac(one.link.mac),
      addresses: stack.addresses.of(one).map((entry) => ({
        address: entry.address.toString(),
        prefix: entry.prefix.toString(),
        state: entry.state,
        origin: entry.origin,
      })),
    })),
    routes: stack.routes.all.map((route) => ({
      prefix: route.prefix.toString(),
      gateway: route.gateway?.toString(),
      interface: route.interface.name,
      metric: route.metric,
      origin: route.origin,
    })),
  };
}

/** As `ip addr` and `ip route` would put it, shorter. */
function text({ stack }: StackHost): string {
  const lines: string[] = [];
  for (const one of stack.interfaces) {
    const mac = one.link.mac === undefined ? "" : ` ${printMac(one.link.mac)}`;
    lines.push(`${one.index}: ${one.name}: ${one.isUp ? "UP" : "DOWN"} mtu ${one.mtuOctets}${mac}`);
    for (const entry of stack.addresses.of(one)) {
      const bits = entry.prefix.toString().split("/")[1];
      lines.push(`    ${entry.address.toString()}/${bits} ${entry.state} ${entry.origin}`);
    }
  }
  for (const route of stack.routes.all) {
    const via = route.gateway === undefined ? "" : ` via ${route.gateway.toString()}`;
    lines.push(`${route.prefix.toString()}${via} dev ${route.interface.name} ${route.origin}`);
  }
  return `${lines.join("\n")}\n`;
}
