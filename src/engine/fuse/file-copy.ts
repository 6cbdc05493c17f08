/**
 * A description by paths (base/virtual-files.ts) copied into a real directory: what stands in for a
 * mount of it where there is no /dev/fuse, or no right to mount. Files are as they were when they
 * were copied; who owns them is who copies.
 */
import {
  chmodSync,
  closeSync,
  lutimesSync,
  mkdirSync,
  openSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import {
  V2Error,
  type VirtualCaller,
  type VirtualFiles,
  type VirtualStat,
} from "../../base/index.ts";

/** What a copy may hold; a file system with more is not copied. */
const FILES_MAX = 20_000;
const OCTETS_MAX = 256 * 1024 * 1024;
/** Octets of a large file that are read at a time. */
const PIECE_OCTETS = 1024 * 1024;
const DIRECTORY_MODE = 0o755;
const FILE_MODE = 0o644;

const NOBODY: VirtualCaller = { uid: 0, gid: 0, pid: 0, signal: new AbortController().signal };

/** Copies one description. */
class Copy {
  readonly #files: VirtualFiles;
  readonly #folder: string;
  #count = 0;
  #octets = 0;

  constructor(files: VirtualFiles, folder: string) {
    this.#files = files;
    this.#folder = folder;
  }

  /** Copies a directory, which is there, and all below. */
  async directory(path: string, stat: VirtualStat): Promise<void> {
    for (const name of await this.#files.list(path, NOBODY)) {
      if (name === "." || name === "..") continue;
      const child = path === "/" ? `/${name}` : `${path}/${name}`;
      const found = await this.#files.stat(child, NOBODY);
      if (found === undefined) continue;
      this.#counts(0, 1);
      await this.#entry(child, found);
    }
    // Last: a directory that nobody may write to could not be filled.
    this.#attributes(path, stat, DIRECTORY_MODE);
  }

  async #entry(path: string, stat: VirtualStat): Promise<void> {
    const real = join(this.#folder, path);
    if (stat.type === "directory") {
      mkdirSync(real, { mode: 0o700 });
      await this.directory(path, stat);
    } else if (stat.type === "link") {
      symlinkSync(await this.#linkText(path), real);
      if (stat.mtimeMs !== undefined) lutimesSync(real, stat.mtimeMs / 1000, stat.mtimeMs / 1000);
    } else {
      await this.#content(path, stat, real);
      this.#attributes(path, stat, FILE_MODE);
    }
  }

  async #linkText(path: string): Promise<string> {
    const files = this.#files;
    if (files.readlink !== undefined) return await files.readlink(path, NOBODY);
    const text = await files.read!(path, NOBODY);
    return typeof text === "string" ? text : Buffer.from(text).toString("utf8");
  }

  async #content(path: string, { size = 0 }: VirtualStat, real: string): Promise<void> {
    const files = this.#files;
    if (files.readAt === undefined) {
      const content = await files.read!(path, NOBODY);
      this.#counts(content.length, 0);
      writeFileSync(real, content, { mode: 0o600 });
      return;
    }
    const file = openSync(real, "wx", 0o600);
    try {
      for (let at = 0; at < size; ) {
        const octets = Math.min(PIECE_OCTETS, size - at);
        const piece = await files.readAt(path, at, octets, NOBODY);
        if (piece.length === 0) break;
        this.#counts(piece.length, 0);
        writeSync(file, piece);
        at += piece.length;
      }
    } finally {
      closeSync(file);
    }
  }

  #attributes(path: string, { mode, mtimeMs }: VirtualStat, fallback: number): void {
    const real = join(this.#folder, path);
    chmodSync(real, mode ?? fallback);
    if (mtimeMs !== undefined) utimesSync(real, mtimeMs / 1000, mtimeMs / 1000);
  }

  #counts(octets: number, files: number): void {
    this.#count += files;
    this.#octets += octets;
    if (this.#count <= FILES_MAX && this.#octets <= OCTETS_MAX) return;
    throw new V2Error("EFBIG", `more than ${FILES_MAX} files or ${OCTETS_MAX} octets to copy`, {
      remedy: "mount it where there is /dev/fuse (rung A of 'v2 doctor')",
    });
  }
}

/**
 * Copies all files of a description into an empty directory.
 * @throws V2Error EFBIG when there are too many, and whatever the description throws
 */
export async function copyVirtualFiles(files: VirtualFiles, folder: string): Promise<void> {
  const root = (await files.stat("/", NOBODY)) ?? {};
  await new Copy(files, folder).directory("/", root);
}
