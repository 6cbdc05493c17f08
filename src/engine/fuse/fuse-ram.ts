/**
 * A file system in memory, as tmpfs is one: `mount -t ram -o size=64m,mode=700 none /mnt`. Options:
 * `size`, `nr_inodes`, `mode`, `uid`, `gid` as in tmpfs(5); `ttl=0` lets the kernel remember
 * nothing, `direct` lets data pass by the page cache.
 */
import { EXIT, V2Error } from "../../base/index.ts";
import { RamFileSystem } from "../../fuse/index.ts";
import { systemClock } from "./system-clock.ts";
import type { FuseMountRequest } from "./fuse-worker.ts";

const SUFFIXES: { readonly [suffix: string]: number } = {
  "": 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
};

/** `64m` in octets. @throws V2Error that names the option. */
function amount(name: string, text: string): number {
  const found = /^(\d{1,15})([kmgt]?)$/i.exec(text);
  if (found !== null) return Number(found[1]) * SUFFIXES[found[2]!.toLowerCase()]!;
  throw new V2Error("EINVAL", `${name}=${text} is no amount`, {
    remedy: "a number, with k, m, g or t behind it: size=64m",
    exitCode: EXIT.usage,
  });
}

/** Permission bits, octal. */
function permissions(text: string): number {
  if (/^[0-7]{1,4}$/.test(text)) return Number.parseInt(text, 8);
  throw new V2Error("EINVAL", `mode=${text} is no octal mode`, { exitCode: EXIT.usage });
}

export default {
  name: "ram",
  mount({ options }: FuseMountRequest): RamFileSystem {
    const { size, nr_inodes: nodes, mode, uid, gid } = options;
    return new RamFileSystem(systemClock(), {
      ...(size === undefined ? {} : { octetsMax: amount("size", size) }),
      ...(nodes === undefined ? {} : { nodesMax: amount("nr_inodes", nodes) }),
      ...(mode === undefined ? {} : { mode: permissions(mode) }),
      ...(options["ttl"] === undefined ? {} : { ttl: amount("ttl", options["ttl"]) }),
      isDirect: options["direct"] !== undefined,
      uid: uid === undefined ? process.getuid!() : amount("uid", uid),
      gid: gid === undefined ? process.getgid!() : amount("gid", gid),
    });
  },
};
