/**
 * Network namespaces of the calling thread (network_namespaces(7), unshare(2), setns(2)). A
 * namespace is held by a descriptor; it lives as long as a descriptor, a process, a thread or a
 * socket is in it.
 *
 * A thread may come back only to a namespace in which its user namespace has CAP_SYS_ADMIN; one
 * that is still in the host's network must first leave it for good with `unshare(CLONE.NEWNET)`.
 *
 * Only the calling thread moves: synchronous calls and children spawned from it are inside, work
 * that Node hands to its thread pool is not.
 */
import { closeSync, openSync } from "node:fs";
import { EXIT, V2Error } from "../base/index.ts";
import { CLONE, namespacePath, setns, unshare } from "./namespaces.ts";

/** Opens the network namespace of a process, or of the calling thread; closed with closeSync. */
export function openNetworkNamespace(of: number | "self"): number {
  const path = namespacePath(of === "self" ? "thread-self" : of, "net");
  try {
    return openSync(path, "r");
  } catch (cause) {
    throw new V2Error("NO_NAMESPACE", `cannot open the network namespace ${path}`, {
      remedy: "the process has ended, or belongs to another user",
      exitCode: EXIT.notFound,
      cause,
    });
  }
}

/** Runs `action` with the calling thread in the network namespace behind `fd`, then comes back. */
export function inNetworkNamespace<T>(fd: number, action: () => T): T {
  return andBack(() => {
    setns(fd, CLONE.NEWNET);
    return action();
  });
}

/** Makes an empty network namespace without leaving the present one; closed with closeSync. */
export function createNetworkNamespace(): number {
  return andBack(() => {
    unshare(CLONE.NEWNET);
    return openNetworkNamespace("self");
  });
}

function andBack<T>(action: () => T): T {
  const home = openNetworkNamespace("self");
  try {
    return action();
  } finally {
    setns(home, CLONE.NEWNET);
    closeSync(home);
  }
}
