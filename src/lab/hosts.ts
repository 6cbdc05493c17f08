/** The hosts file (hosts(5)) that lets the views of a lab find each other by name. */
import type { Topology } from "./topology.ts";

/** Lines of the host's own file that every machine needs: those of the loopback addresses. */
const LOOPBACK_LINE = /^\s*(127\.\d+\.\d+\.\d+|::1|ff02::[12]|fe00::0|ff00::0)\s/;

/**
 * @param hostFile text of the host's /etc/hosts; of it only the loopback lines are kept, without
 * names that a view of the lab has.
 */
export function hostsFile(topology: Topology, hostFile: string): string {
  const names = new Set([...topology.views, ...topology.stacks].map((host) => host.name));
  const kept = hostFile.split("\n").flatMap((line) => {
    if (!LOOPBACK_LINE.test(line)) return [];
    const [address, ...words] = line.replace(/#.*/, "").trim().split(/\s+/);
    const others = words.filter((word) => !names.has(word));
    return others.length === 0 ? [] : [`${address}\t${others.join(" ")}`];
  });
  if (!kept.some((line) => line.startsWith("127."))) kept.unshift("127.0.0.1\tlocalhost");
  const hosts = [
    ...topology.views,
    ...topology.stacks.map(({ name, interface: one }) => ({ name, interfaces: [one] })),
  ];
  const own = hosts.flatMap(({ name, interfaces }) =>
    interfaces.flatMap((one) =>
      one.addresses.map((address) => `${address.replace(/\/.*/, "")}\t${name}`),
    ),
  );
  return [...kept, "", `# lab ${topology.name}`, ...own, ""].join("\n");
}
