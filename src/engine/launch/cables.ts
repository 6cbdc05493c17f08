/**
 * The cables of a view: for each interface a thread that makes it in the view's network namespace
 * and moves its frames to and from the switch.
 */
import { type NamespaceCableOptions, PumpThread } from "../../plugs/index.ts";
import type { ViewNet } from "./view-net.ts";

/** How often a cable whose switch has gone looks for it again. */
const REPLUG_MS = 500;

/**
 * Gives the network namespace of process `pid` its interfaces, each with a cable to its switch;
 * resolves when all are configured. The cables last as long as this process, or until unplugged.
 * @returns unplugs them
 * @throws V2Error with the first reason why an interface cannot be made.
 */
export async function plugCables(pid: number, nets: readonly ViewNet[]): Promise<() => void> {
  const pumps = nets.map((net, index) => {
    const options = namespaceCable(pid, net.interface ?? `eth${index}`, net);
    return new PumpThread({
      left: { kind: "vnl", vnl: net.switch, description: `view ${options.interface}` },
      right: { kind: "namespace", options },
      reconnectMs: REPLUG_MS,
    });
  });
  // A thread that waits in the kernel must be woken before the process can end.
  const unplug = (): void => {
    process.off("exit", unplug);
    for (const pump of pumps) void pump.stop();
  };
  process.once("exit", unplug);
  await Promise.all(pumps.map((pump) => pump.joined));
  return unplug;
}

function namespaceCable(pid: number, name: string, net: ViewNet): NamespaceCableOptions {
  return {
    namespace: { pid },
    interface: name,
    ...(net.mac === undefined ? {} : { mac: net.mac }),
    ...(net.mtu === undefined ? {} : { mtu: net.mtu }),
    ...(net.gateway === undefined ? {} : { gateway: net.gateway }),
    addresses: net.addresses ?? [],
    via: net.via ?? "auto",
  };
}
