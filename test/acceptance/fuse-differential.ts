/**
 * The same random operations in two directories, one of a file system under test and one of tmpfs:
 * results, errors and what is there must be the same. Many files are open at a time, with names and
 * without.
 */
import {
  appendFileSync,
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  renameSync,
  rmdirSync,
  rmSync,
  type Stats,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { Rng } from "../../src/base/index.ts";

export interface Differential {
  readonly seed: number;
  readonly operations: number;
  /** Not every file system has links. */
  readonly hasLinks: boolean;
  /** Files are made only this long. */
  readonly sizeMax: number;
}

/** One operation on either side: what it gives is compared. */
type Operation = (side: Side) => unknown;

/** A directory and the files open in it. */
class Side {
  readonly root: string;
  readonly open: (number | undefined)[] = [];

  constructor(root: string) {
    this.root = root;
  }

  at(path: string): string {
    return join(this.root, path);
  }

  /** What the operation came to: its result or the name of its errno. */
  result(operation: Operation): unknown {
    try {
      return operation(this);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === undefined) throw error;
      return code;
    }
  }
}

const NAMES = ["a", "b", "c", "dir", "ö-umlaut", "x".repeat(30)];
const OPEN_MAX = 24;

function describe(stats: Stats, hasLinks: boolean): unknown {
  const isDirectory = stats.isDirectory();
  const { mode, uid, gid } = stats;
  // A description by paths does not count the directories in a directory.
  const nlink = isDirectory && !hasLinks ? 2 : stats.nlink;
  return { mode: mode.toString(8), nlink, uid, gid, size: isDirectory ? 0 : stats.size };
}

/** All that is below a directory, in order. */
function tree(side: Side, hasLinks: boolean, path = "."): unknown[] {
  const found: unknown[] = [];
  for (const name of readdirSync(side.at(path)).sort()) {
    const inner = `${path}/${name}`;
    const stats = lstatSync(side.at(inner));
    const content = stats.isFile()
      ? readFileSync(side.at(inner), "latin1")
      : stats.isSymbolicLink()
        ? readlinkSync(side.at(inner))
        : tree(side, hasLinks, inner);
    found.push([inner, describe(stats, hasLinks), content]);
  }
  return found;
}

class Chooser {
  readonly #rng: Rng;
  readonly #options: Differential;

  constructor(options: Differential) {
    this.#rng = new Rng(options.seed);
    this.#options = options;
  }

  #below(limit: number): number {
    return this.#rng.below(limit);
  }

  #path(): string {
    const depth = 1 + this.#below(3);
    return Array.from({ length: depth }, () => NAMES[this.#below(NAMES.length)]!).join("/");
  }

  #data(): Buffer {
    const size = this.#below(this.#below(4) === 0 ? this.#options.sizeMax / 2 : 300);
    return Buffer.alloc(size, 33 + this.#below(90));
  }

  /** A random operation and its name. */
  next(): readonly [string, Operation] {
    const { hasLinks } = this.#options;
    const kinds = hasLinks ? 24 : 21;
    const path = this.#path();
    const other = this.#path();
    const data = this.#data();
    const size = this.#below(this.#options.sizeMax);
    const slot = this.#below(OPEN_MAX);
    const fd = (side: Side): number => side.open[slot] ?? -1;
    const kind = this.#below(kinds);
    const named = (name: string, operation: Operation): readonly [string, Operation] => [
      `${name} ${path} ${other} data=${data.length} size=${size} slot=${slot}`,
      operation,
    ];
    switch (kind) {
      case 0:
        return named("write", (s) => writeFileSync(s.at(path), data));
      case 1:
        return named("append", (s) => appendFileSync(s.at(path), data));
      case 2:
        return named("mkdir", (s) => mkdirSync(s.at(path)));
      case 3:
        return named("read", (s) => readFileSync(s.at(path), "latin1"));
      case 4:
        return named("truncate", (s) => truncateSync(s.at(path), size));
      case 5:
        return named("unlink", (s) => unlinkSync(s.at(path)));
      case 6:
        return named("rmdir", (s) => rmdirSync(s.at(path)));
      case 7:
      case 8:
        return named("rename", (s) => renameSync(s.at(path), s.at(other)));
      case 9:
        return named("stat", (s) => describe(lstatSync(s.at(path)), hasLinks));
      case 10:
        return named("list", (s) => readdirSync(s.at(path)).sort());
      case 11:
        return named("copy", (s) => copyFileSync(s.at(path), s.at(other)));
      case 12:
      case 13:
        return this.#openAs(path, slot);
      case 14:
        return named("pwrite", (s) => writeSync(fd(s), data, 0, data.length, size));
      case 15:
        return named("pread", (s) => {
          const into = Buffer.alloc(1000);
          const octets = readSync(fd(s), into, 0, 1000, size);
          return into.toString("latin1", 0, octets);
        });
      case 16:
        return named("ftruncate", (s) => ftruncateSync(fd(s), size));
      case 17:
        return named("fstat", (s) => describe(fstatSync(fd(s)), hasLinks));
      case 18:
        return named("fwrite", (s) => writeSync(fd(s), data));
      case 19:
        return named("fsync", (s) => fsyncSync(fd(s)));
      case 20:
        if (this.#below(6) > 0) return this.next();
        return named("rm -r", (s) => rmSync(s.at(path), { recursive: true }));
      case 21:
        return named("link", (s) => linkSync(s.at(path), s.at(other)));
      case 22:
        return named("symlink", (s) => symlinkSync(other, s.at(path)));
      default:
        return named("chmod and utimes", (s) => {
          chmodSync(s.at(path), 0o600 | (size & 0o177));
          utimesSync(s.at(path), 1e9 + size, 1.1e9 + size);
          return lstatSync(s.at(path)).isSymbolicLink() || lstatSync(s.at(path)).mtimeMs;
        });
    }
  }

  #openAs(path: string, slot: number): readonly [string, Operation] {
    const { O_APPEND, O_CREAT, O_EXCL, O_RDWR, O_TRUNC } = constants;
    let flags = O_RDWR;
    if (this.#below(2) === 0) flags |= O_CREAT;
    if (this.#below(4) === 0) flags |= O_TRUNC;
    if (this.#below(4) === 0) flags |= O_EXCL;
    if (this.#below(4) === 0) flags |= O_APPEND;
    return [
      `open ${path} flags=${flags} slot=${slot}`,
      (side) => {
        const old = side.open[slot];
        side.open[slot] = undefined;
        if (old !== undefined) closeSync(old);
        side.open[slot] = openSync(side.at(path), flags, 0o640);
      },
    ];
  }
}

const TREES_EVERY = 200;

/** Runs the operations. @returns the first difference, or undefined. */
export function firstDifference(
  tested: string,
  twin: string,
  options: Differential,
): string | undefined {
  const sides = [new Side(tested), new Side(twin)] as const;
  const chooser = new Chooser(options);
  const recent: string[] = [];
  try {
    for (let i = 0; i < options.operations; i++) {
      const [name, operation] = chooser.next();
      recent.push(name);
      const [ours, theirs] = sides.map((side) => JSON.stringify(side.result(operation)));
      if (ours !== theirs) return report(i, recent, ours, theirs);
      if (i % TREES_EVERY !== 0 && i !== options.operations - 1) continue;
      const [found, expected] = sides.map((side) => JSON.stringify(tree(side, options.hasLinks)));
      if (found !== expected) return report(i, recent, found, expected);
    }
  } finally {
    for (const side of sides) for (const fd of side.open) if (fd !== undefined) closeSync(fd);
  }
  return undefined;
}

function report(
  index: number,
  recent: readonly string[],
  ours: string | undefined,
  theirs: string | undefined,
): string {
  const [a, b] = [ours ?? "nothing", theirs ?? "nothing"];
  let at = 0;
  while (at < a.length && a[at] === b[at]) at++;
  const near = (text: string): string => text.slice(Math.max(0, at - 100), at + 200);
  const history = recent.slice(-12).join("\n  ");
  return `operation ${index}:\n  ${history}\nours:  …${near(a)}\ntmpfs: …${near(b)}`;
}
