/** File systems described by paths, for the tests: one module, the mount's `kind` chooses. */
import { setTimeout as sleep } from "node:timers/promises";
import { ERRNO, errnoName } from "../../src/base/index.ts";
import type { FuseMountRequest } from "../../src/engine/index.ts";
import type { VirtualFiles, VirtualStat } from "../../src/fuse/index.ts";

function failure(name: keyof typeof ERRNO): Error {
  return Object.assign(new Error(name), { code: errnoName(ERRNO[name]) });
}

/** The dozen lines: any name is a file that says its name aloud. */
const shout: VirtualFiles = {
  list: () => ["hello", "world"],
  stat: (path) => ({ type: path === "/" ? "directory" : "file" }),
  read: (path) => `${path.slice(1).toUpperCase()}\n`,
};

/** Everything a description can do, over a map of paths. */
function complete(isAsync: boolean): VirtualFiles {
  const files = new Map<string, { mode: number; mtimeMs: number; content: Uint8Array }>();
  const directories = new Set<string>(["/"]);
  const links = new Map<string, string>();
  const later = async <T>(value: T): Promise<T> => {
    if (isAsync) await sleep(0);
    return value;
  };
  const give = <T>(value: T): T | Promise<T> => (isAsync ? later(value) : value);
  const within = (path: string): readonly string[] =>
    [...files.keys(), ...directories, ...links.keys()].filter((known) =>
      known.startsWith(path === "/" ? "/" : `${path}/`),
    );
  const file = (path: string) => {
    const found = files.get(path);
    if (found === undefined) throw failure("ENOENT");
    return found;
  };
  const moved = (path: string, from: string, to: string): string | undefined =>
    path === from || path.startsWith(`${from}/`) ? to + path.slice(from.length) : undefined;
  const stat = (path: string): VirtualStat | undefined => {
    const found = files.get(path);
    if (directories.has(path)) return { type: "directory" };
    if (links.has(path)) return { type: "link" };
    if (found === undefined) return undefined;
    return { size: found.content.length, mode: found.mode, mtimeMs: found.mtimeMs };
  };
  return {
    ttl: 0,
    stat: (path) => give(stat(path)),
    list: (path) => {
      const start = path === "/" ? 1 : path.length + 1;
      const names = within(path).map((known) => known.slice(start).split("/")[0]!);
      return give([...new Set(names)].filter((name) => name !== ""));
    },
    read: (path) => give(file(path).content),
    write: (path, content) => {
      const old = files.get(path);
      files.set(path, { mode: old?.mode ?? 0o644, mtimeMs: Date.now(), content });
      return give(undefined);
    },
    create: (path, mode) => {
      files.set(path, { mode, mtimeMs: Date.now(), content: new Uint8Array(0) });
      return give(undefined);
    },
    mkdir: (path) => {
      directories.add(path);
      return give(undefined);
    },
    remove: (path) => {
      files.delete(path);
      directories.delete(path);
      links.delete(path);
      return give(undefined);
    },
    rename: (from, to) => {
      files.delete(to);
      links.delete(to);
      directories.delete(to);
      for (const [path, entry] of Array.from(files)) {
        const name = moved(path, from, to);
        if (name !== undefined && files.delete(path)) files.set(name, entry);
      }
      for (const path of Array.from(directories)) {
        const name = moved(path, from, to);
        if (name !== undefined && directories.delete(path)) directories.add(name);
      }
      for (const [path, entry] of Array.from(links)) {
        const name = moved(path, from, to);
        if (name !== undefined && links.delete(path)) links.set(name, entry);
      }
      return give(undefined);
    },
    symlink: (path, target) => {
      links.set(path, target);
      return give(undefined);
    },
    readlink: (path) => give(links.get(path) ?? ""),
    change: (path, change) => {
      const found = files.get(path);
      if (found === undefined) return give(undefined);
      found.mode = change.mode ?? found.mode;
      found.mtimeMs = change.mtimeMs ?? found.mtimeMs;
      return give(undefined);
    },
  };
}

/** Told of its interruption, it still does not end. */
async function neverEnding(signal: AbortSignal): Promise<void> {
  await new Promise((resolve) => signal.addEventListener("abort", resolve));
  await new Promise(() => {});
}

/** Slow and broken functions beside good ones. */
const awkward: VirtualFiles = {
  list: async (path, caller) => {
    if (path === "/refused") throw failure("EACCES");
    if (path === "/names") await neverEnding(caller.signal);
    return ["slow", "quick", "hangs", "throws", "garbage", "names", "refused"];
  },
  stat: (path) => {
    if (path === "/throws") throw new Error("a mistake of the module");
    if (path === "/garbage") return { type: "nonsense" } as unknown as VirtualStat;
    if (path === "/" || path === "/names" || path === "/refused") return { type: "directory" };
    return { type: "file", size: 5 };
  },
  read: async (path, caller) => {
    if (path === "/slow") await sleep(1500);
    if (path === "/hangs") await neverEnding(caller.signal);
    return "text\n";
  },
};

/** Pieces of a file of 1 TiB, each octet made from its place. */
const large: VirtualFiles = {
  ttl: Number.POSITIVE_INFINITY,
  list: () => ["tebi"],
  stat: (path) => (path === "/" ? {} : { size: 2 ** 40 }),
  readAt: (_path, offset, octets) => {
    const piece = new Uint8Array(Math.max(0, Math.min(octets, 2 ** 40 - offset)));
    for (let i = 0; i < piece.length; i++) piece[i] = (offset + i) % 251;
    return piece;
  },
};

/** Counts, and says so; `ttl` is for ever, so that only `changed` shows it. */
function ticking(request: FuseMountRequest): VirtualFiles {
  let ticks = 0;
  setInterval(() => {
    ticks++;
    request.changed("/ticks");
    request.changed(`/tick${ticks}`);
  }, 100);
  return {
    ttl: Number.POSITIVE_INFINITY,
    list: () => ["ticks"],
    stat: (path) => {
      if (path === "/") return {};
      return path === "/ticks" || path === `/tick${ticks}` ? {} : undefined;
    },
    read: () => `${ticks}\n`,
  };
}

/** Its thread dies of a mistake outside of any call. */
function crashing(): VirtualFiles {
  setTimeout(() => {
    throw new Error("a mistake in a timer");
  }, 300);
  return shout;
}

export default {
  name: "tests",
  mount(request: FuseMountRequest): VirtualFiles {
    switch (request.options["kind"]) {
      case "shout":
        return shout;
      case "complete":
        return complete(false);
      case "async":
        return complete(true);
      case "awkward":
        return awkward;
      case "large":
        return large;
      case "ticking":
        return ticking(request);
      case "crashing":
        return crashing();
      case "none":
        return {} as VirtualFiles;
      default:
        throw failure("EINVAL");
    }
  },
};
