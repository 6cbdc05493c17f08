/** `v2 view`: runs a command in a view of its own. */
import {
  becomeGuest,
  claimViewName,
  newView,
  parseViewNet,
  startSupervisor,
} from "../engine/index.ts";
import { inheritedDescriptors } from "../sys/index.ts";
import { parseMountSpec } from "../viewos/index.ts";
import type { Invocation } from "./command.ts";

function list(value: Invocation["options"][string]): readonly string[] {
  return Array.isArray(value) ? (value as readonly string[]) : [];
}

/** Never returns on success: this process becomes the command. */
export async function run(invocation: Invocation): Promise<number> {
  const inherited = inheritedDescriptors();
  const { options } = invocation;
  const name = options["name"] as string | undefined;
  const net = list(options["net"]).map(parseViewNet);
  const mounts = list(options["mount"]).map(parseMountSpec);
  const words = [...invocation.words, ...invocation.rest];
  const argv = words.length > 0 ? words : [process.env["SHELL"] ?? "/bin/sh"];
  if (name !== undefined) claimViewName(name);
  const { pid, session } = startSupervisor({
    root: options["root"] === true,
    orphan: true,
    config: { name, net },
  });
  const view = newView({ supervisorPid: pid, hostName: name, mounts, network: net.length > 0 });
  becomeGuest(session, view, argv, inherited);
}
