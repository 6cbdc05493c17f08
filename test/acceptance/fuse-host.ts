/**
 * A program that mounts one of our file systems and lets another process do something in it; run
 * inside a mount namespace of its own (fuse-support.ts). A process that serves a mount must have no
 * file of it open: when it is killed, closing that file may wait for its own answer. Prints what
 * came of it; exit code 1 for a difference.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  FuseThread,
  mountFuse,
  mountVirtualFiles,
  OWN_FILE_SYSTEMS,
  type VirtualMountOptions,
} from "../../src/engine/index.ts";
import { cloneFuseDevice, closeFd, openFuseDevice } from "../../src/sys/index.ts";
import type { Differential } from "./fuse-differential.ts";

/** What the host is to do. */
export interface HostTask {
  /** An empty directory on tmpfs, with `mnt`, `twin` and `back` to be made in it. */
  readonly folder: string;
  /** One of our own by name, or a module file. */
  readonly module: string;
  readonly options?: { readonly [name: string]: string };
  readonly writeback?: boolean;
  /** The two halves of a mount by hand, and served through a cloned descriptor. */
  readonly isCloned?: boolean;
  /** A shell script, in the mount. */
  readonly shell?: string;
  readonly differential?: Differential;
}

const COMPARE = fileURLToPath(new URL("./fuse-compare.js", import.meta.url));

async function mountCloned(options: VirtualMountOptions): Promise<{ close(): Promise<void> }> {
  const thread = await FuseThread.start(options);
  const device = openFuseDevice();
  const failure = mountFuse(device, options);
  if (failure !== 0) throw new Error(`mount: errno ${failure}`);
  const clone = cloneFuseDevice(device);
  // The connection lives as long as one of them is open.
  closeFd(device);
  thread.serve(clone);
  return thread;
}

async function run(task: HostTask): Promise<number> {
  const at = (name: string): string => join(task.folder, name);
  for (const name of ["mnt", "twin", "back"]) mkdirSync(at(name));
  const own = OWN_FILE_SYSTEMS[task.module as keyof typeof OWN_FILE_SYSTEMS];
  const options: VirtualMountOptions = {
    module: own ?? task.module,
    source: at("back"),
    target: at("mnt"),
    options: task.options ?? {},
    writeback: task.writeback ?? false,
    onProblem: (message) => process.stderr.write(`problem: ${message}\n`),
  };
  const mount = await (task.isCloned === true ? mountCloned(options) : mountVirtualFiles(options));
  const words =
    task.differential === undefined
      ? ["sh", "-euc", task.shell ?? "true"]
      : [process.execPath, COMPARE, at("mnt"), at("twin"), JSON.stringify(task.differential)];
  const [program, ...rest] = words;
  const child = spawn(program!, rest, { cwd: at("mnt"), stdio: ["ignore", 1, 2] });
  const [code] = (await once(child, "exit")) as [number | null];
  await mount.close();
  return code ?? 1;
}

process.exitCode = await run(JSON.parse(process.argv[2]!) as HostTask);
