/**
 * The file system of a module that is an object of a program, as the thread that serves its mount
 * sees it: every function asks the program.
 */
import type { MessagePort } from "node:worker_threads";
import type { VirtualCaller, VirtualFiles } from "../../base/index.ts";
import type { MountRequest } from "../../viewos/index.ts";
import { portLink } from "../modules/link.ts";

/** Longest time of a timer. */
const LONG_MS = 2 ** 31 - 1;

/** What a module of a program mounts with. */
export function programMount(
  port: MessagePort,
  module: string,
): (request: MountRequest) => Promise<VirtualFiles> {
  return async ({ changed, ...request }) => {
    const link = portLink(port, (_, { path }) => changed(path as string));
    // A thread without timers waits in the kernel, where it would not hear of changes.
    setInterval(() => {}, LONG_MS);
    const told = (await link.ask("mount", { module, request })) as {
      readonly functions: readonly string[];
      readonly ttl: string;
    };
    const asked = (name: string) => {
      return (...given: unknown[]): Promise<unknown> => {
        const { uid, gid, pid, signal } = given.pop() as VirtualCaller;
        const values = given.map(owned);
        return link.ask("file", { name, values, caller: { uid, gid, pid } }, signal);
      };
    };
    const files = Object.fromEntries(told.functions.map((name) => [name, asked(name)]));
    const ttl = told.ttl === "" ? {} : { ttl: Number(told.ttl) };
    return { ...files, ...ttl } as unknown as VirtualFiles;
  };
}

/** Octets that are the message's own: a piece of a buffer would take all of it along. */
const owned = (value: unknown): unknown => (value instanceof Uint8Array ? value.slice() : value);
