/**
 * A thread that serves a file system which a module file describes: `export default` of an object
 * with `mount(request)`, which gives a description by paths (`VirtualFiles`) or a file system by
 * nodes (`FileSystem`). First the module is loaded and asked; then the device is handed in.
 */
import { register } from "node:module";
import { type MessagePort, parentPort, Worker, workerData } from "node:worker_threads";
import { V2Error, type VirtualFiles } from "../../base/index.ts";
import {
  type FileSystem,
  FuseServer,
  type Invalidations,
  invalidateEntry,
  invalidateInode,
  isVirtualFiles,
  type ServerOptions,
  VirtualFileSystem,
} from "../../fuse/index.ts";
import { FuseDevice } from "../../sys/index.ts";
import { copyVirtualFiles } from "./file-copy.ts";
import type { FuseHelperData } from "./fuse-helper.ts";
import { FuseLoop, type LoopEnd } from "./fuse-loop.ts";
import { type Insertion, loadModules } from "../modules/module-loader.ts";
import { programMount } from "./program-files.ts";

/** What a module's `mount` is told. */
export interface FuseMountRequest {
  readonly type: string;
  readonly source: string;
  readonly target: string;
  /** `a,b=c` as { a: "", b: "c" }. */
  readonly options: { readonly [name: string]: string };
  /** The kernel drops what it remembers of that path. */
  readonly changed: (path: string) => void;
}

/** One of the modules that an insertion into a view has brought. */
export interface ModuleOfView {
  readonly insertion: Insertion;
  readonly name: string;
}

/** A module that is an object of a program, which is asked through the port. */
export interface ModuleOfProgram {
  readonly port: MessagePort;
  readonly name: string;
}

export interface FuseWorkerData extends Omit<FuseMountRequest, "changed"> {
  /** URL of the module file, or a module of a view, or of a program. */
  readonly module: string | ModuleOfView | ModuleOfProgram;
  /** Owner of files that are given none. */
  readonly uid: number;
  readonly gid: number;
  readonly mountedMs: number;
  readonly writeback: boolean;
}

/** What a thread that is ready is given: a device to serve, or an empty directory to fill. */
export type FuseHandOver =
  | {
      readonly descriptor: number;
      /** Closed at its other end when the thread is to end. */
      readonly stop: number;
    }
  | { readonly folder: string };

export type FuseWorkerEvent =
  | { readonly kind: "ready" }
  /** The module cannot be loaded, or its `mount` failed. */
  | {
      readonly kind: "refused";
      readonly code: string;
      readonly message: string;
      readonly remedy: string | undefined;
    }
  /** A function of the file system threw something that is no errno. */
  | { readonly kind: "problem"; readonly message: string }
  | { readonly kind: "ended"; readonly why: LoopEnd }
  /** The directory is filled; "" or the code of the error for which it is not. */
  | { readonly kind: "copied"; readonly code: string };

/** Problems that are told; a broken function would tell one for every call. */
const PROBLEMS_MAX = 20;

const data = workerData as FuseWorkerData;
const post = (event: FuseWorkerEvent): void => parentPort!.postMessage(event);

/** Tells the kernel through a thread of its own; begun when there is something to tell. */
class Herald implements Invalidations {
  #descriptor: number | undefined;
  #worker: Worker | undefined;

  begin(descriptor: number): void {
    this.#descriptor = descriptor;
  }

  inode(node: number): void {
    this.#tell(invalidateInode(node));
  }

  entry(parent: number, name: string): void {
    this.#tell(invalidateEntry(parent, name));
  }

  #tell(message: Uint8Array): void {
    if (this.#descriptor === undefined) return;
    if (this.#worker === undefined) {
      const workerData: FuseHelperData = { role: "herald", descriptor: this.#descriptor };
      this.#worker = new Worker(new URL("./fuse-helper.js", import.meta.url), { workerData });
      this.#worker.unref();
    }
    this.#worker.postMessage(message);
  }

  close(): void {
    void this.#worker?.terminate();
  }
}

interface Loaded {
  readonly files: FileSystem;
  /** Set when the files are described by paths. */
  readonly described?: VirtualFiles;
  readonly options: ServerOptions;
}

/** What a module mounts with. */
async function mounter(): Promise<(request: FuseMountRequest) => unknown> {
  let module: unknown;
  if (typeof data.module === "string") {
    module = ((await import(data.module)) as { readonly default?: unknown }).default;
  } else if ("port" in data.module) return programMount(data.module.port, data.module.name);
  else {
    const { insertion, name } = data.module;
    register(new URL("../modules/module-resolve.js", import.meta.url));
    module = (await loadModules(insertion)).find((found) => found.name === name);
  }
  const mount = (module as { readonly mount?: unknown } | undefined)?.mount;
  if (typeof mount === "function") return mount as (request: FuseMountRequest) => unknown;
  throw new V2Error("NO_MOUNT", "the module has no 'mount'", {
    remedy: "export default { mount: (m) => ({ list, stat, read }) }",
  });
}

async function load(herald: Herald): Promise<Loaded> {
  const { type, source, target, options } = data;
  const mount = await mounter();
  let files: VirtualFileSystem | undefined;
  const changed = (path: string): void => files?.changed(path);
  const request: FuseMountRequest = { type, source, target, options, changed };
  const result: unknown = await mount(request);
  if (isVirtualFiles(result)) {
    const { uid, gid, mountedMs } = data;
    files = new VirtualFileSystem(result, { uid, gid, mountedMs, invalidations: herald });
    return { files, described: result, options: { changesOutside: true } };
  }
  if (isFileSystem(result)) return { files: result, options: { writeback: data.writeback } };
  throw new V2Error("NO_FILES", "the module's 'mount' gave no file system", {
    remedy: "give an object with at least list, stat and read",
  });
}

function isFileSystem(value: unknown): value is FileSystem {
  const { lookup, getattr } = (value ?? {}) as { readonly [name: string]: unknown };
  return typeof lookup === "function" && typeof getattr === "function";
}

/** Reports what a module did wrong, the first few times. */
function problemReporter(): (error: unknown) => void {
  let left = PROBLEMS_MAX;
  return (error) => {
    if (left-- > 0) {
      post({ kind: "problem", message: error instanceof Error ? error.message : String(error) });
    }
  };
}

/** @returns "", or the code of an error */
async function copy({ described }: Loaded, folder: string): Promise<string> {
  try {
    if (described === undefined) {
      throw new V2Error("EOPNOTSUPP", "only files that are described by paths can be copied");
    }
    await copyVirtualFiles(described, folder);
    return "";
  } catch (error) {
    problemReporter()(error);
    const { code } = error as { readonly code?: unknown };
    return typeof code === "string" ? code : "EIO";
  }
}

async function main(): Promise<void> {
  const herald = new Herald();
  let loaded: Loaded;
  try {
    loaded = await load(herald);
  } catch (error) {
    const { code, message, remedy } = error as Partial<V2Error>;
    const known = typeof code === "string" ? code : "MODULE_FAILED";
    post({ kind: "refused", code: known, message: message ?? String(error), remedy });
    return;
  }
  const handedIn = new Promise<FuseHandOver>((resolve) => parentPort!.once("message", resolve));
  post({ kind: "ready" });
  const given = await handedIn;
  if ("folder" in given) {
    post({ kind: "copied", code: await copy(loaded, given.folder) });
    process.exit(0);
  }
  const { descriptor, stop } = given;
  const device = new FuseDevice(descriptor, stop);
  herald.begin(device.descriptor);
  const server = new FuseServer(loaded.files, device, {
    ...loaded.options,
    onError: problemReporter(),
  });
  const why = await new FuseLoop(device, server).run();
  herald.close();
  loaded.files.destroy?.();
  post({ kind: "ended", why });
  // The module's timers and sockets have no purpose any more.
  process.exit(0);
}

await main();
