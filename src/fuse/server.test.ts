import assert from "node:assert/strict";
import { test } from "node:test";
import { ERRNO, ManualClock } from "../base/index.ts";
import {
  type Asked,
  concat,
  cstring,
  message,
  RecordingWire,
  type Told,
  u32,
  u64,
} from "../../test/fuse-messages.ts";
import type { FileSystem } from "./file-system.ts";
import { INIT, OPCODE } from "./protocol.ts";
import { RamFileSystem } from "./ram.ts";
import { FuseServer, type ServerOptions } from "./server.ts";

/** A server and its kernel. */
class Kernel {
  readonly wire = new RecordingWire();
  readonly server: FuseServer;
  #x;

  constructor(files: FileSystem, options: ServerOptions = {}) {
    this.server = new FuseServer(files, this.wire, { dataOctetsMax: 65_536, ...options });
    this.#x = this.server.takeExchange();
  }

  /** Sends a message; gives the reply if there is one at once. */
  ask(asked: Asked, ...body: readonly Uint8Array[]): Told | undefined {
    const octets = message(asked, ...body);
    const before = this.wire.told.length;
    this.#x.request.octets.set(octets);
    this.#x = this.server.serve(this.#x, octets.length);
    return this.wire.told[before];
  }

  init(minor: number, flags: number): Told | undefined {
    const unused = new Uint8Array(44);
    return this.ask({ opcode: OPCODE.init }, u32(7, minor, 131_072, flags, 0), unused);
  }
}

const view = ({ body }: Told) => new DataView(body.buffer, body.byteOffset, body.length);
const ram = () => new RamFileSystem(new ManualClock(10n ** 18n));
const node = (told: Told | undefined) => Number(view(told!).getBigUint64(0, true));

/** Only what every file system has. */
const bare: FileSystem = { lookup: () => -ERRNO.ENOENT, getattr: () => 0 };

test("INIT takes of the kernel's offer what it wants, and not more", () => {
  const kernel = new Kernel(ram());
  const offer = (INIT.asyncRead | INIT.maxPages | INIT.noOpen | INIT.spliceRead) >>> 0;
  const told = kernel.init(45, offer)!;
  assert.equal(told.body.length, 64);
  const fields = view(told);
  assert.deepEqual([fields.getUint32(0, true), fields.getUint32(4, true)], [7, 45]);
  const flags = fields.getUint32(12, true);
  assert.equal(flags, (INIT.asyncRead | INIT.maxPages | INIT.noOpen) >>> 0);
  assert.equal(fields.getUint32(20, true), 65_536);
  assert.equal(fields.getUint16(28, true), 16);
  assert.equal(kernel.server.session?.flags, flags);
});

test("an old kernel is refused, a newer major version is asked again", () => {
  assert.equal(new Kernel(bare).init(12, 0)?.error, -ERRNO.EPROTO);
  const kernel = new Kernel(bare);
  const told = kernel.ask({ opcode: OPCODE.init }, u32(8, 0, 0, 0, 0), new Uint8Array(44))!;
  assert.deepEqual([told.error, view(told).getUint32(0, true)], [0, 7]);
  assert.equal(kernel.server.session, undefined);
});

test("a file is made, written, read, and forgotten with its name", () => {
  const files = ram();
  const kernel = new Kernel(files);
  const made = kernel.ask({ opcode: OPCODE.mknod }, u32(0o100644, 0, 0, 0), cstring("f"));
  const file = node(made);
  const io = (size: number) => [u64(0, 3), u32(size, 0), u64(0), u32(0, 0)] as const;
  const wrote = kernel.ask({ opcode: OPCODE.write, node: file }, ...io(2), Uint8Array.of(1, 2))!;
  assert.equal(view(wrote).getUint32(0, true), 2);
  const read = kernel.ask({ opcode: OPCODE.read, node: file }, ...io(9))!;
  assert.deepEqual([...read.body], [1, 2]);
  assert.equal(kernel.ask({ opcode: OPCODE.unlink }, cstring("f"))?.error, 0);
  assert.equal(files.nodeCount, 2);
  assert.equal(kernel.ask({ opcode: OPCODE.forget, node: file }, u64(1)), undefined);
  assert.equal(files.nodeCount, 1);
  assert.equal(kernel.ask({ opcode: OPCODE.getattr, node: file }, u64(0, 0))?.error, -ERRNO.ESTALE);
});

test("large data is sent from where it lies", () => {
  const kernel = new Kernel(ram());
  const made = kernel.ask({ opcode: OPCODE.mknod }, u32(0o100644, 0, 0, 0), cstring("f"));
  const file = node(made);
  const data = new Uint8Array(50_000).fill(7);
  const io = [u64(0, 0), u32(data.length, 0), u64(0), u32(0, 0)];
  kernel.ask({ opcode: OPCODE.write, node: file }, ...io, data);
  const told = kernel.ask({ opcode: OPCODE.read, node: file }, ...io)!;
  assert.deepEqual(told.body, data);
});

test("what a file system does not offer is refused as the kernel expects it", () => {
  const kernel = new Kernel(bare);
  const error = (opcode: number, ...body: readonly Uint8Array[]) =>
    kernel.ask({ opcode }, ...body)?.error;
  assert.equal(error(OPCODE.open, u32(0, 0)), -ERRNO.ENOSYS);
  assert.equal(error(OPCODE.opendir, u32(0, 0)), -ERRNO.ENOSYS);
  assert.equal(error(OPCODE.create, u32(0, 0, 0, 0), cstring("f")), -ERRNO.ENOSYS);
  assert.equal(error(OPCODE.mkdir, u32(0, 0), cstring("f")), -ERRNO.EROFS);
  assert.equal(error(OPCODE.ioctl, new Uint8Array(32)), -ERRNO.ENOTTY);
  assert.equal(error(OPCODE.poll, new Uint8Array(24)), -ERRNO.ENOSYS);
  assert.equal(error(OPCODE.statfs), 0);
  assert.equal(error(OPCODE.release, new Uint8Array(24)), 0);
  assert.equal(error(999), -ERRNO.ENOSYS);
  assert.equal(error(OPCODE.lookup, cstring("n".repeat(256))), -ERRNO.ENAMETOOLONG);
});

test("a message that is no request is counted, and answered where that can be", () => {
  const kernel = new Kernel(bare);
  assert.equal(kernel.ask({ opcode: OPCODE.lookup }, Uint8Array.of(1))?.error, -ERRNO.EINVAL);
  assert.equal(kernel.server.counters.malformed, 1);
});

test("a promise is answered when it ends, and others meanwhile", async () => {
  let finish: (value: number) => void = () => {};
  const slow = new Promise<number>((resolve) => (finish = resolve));
  const kernel = new Kernel({ ...bare, statfs: () => slow });
  assert.equal(kernel.ask({ opcode: OPCODE.statfs, unique: 4 }), undefined);
  assert.equal(kernel.ask({ opcode: OPCODE.getattr, unique: 6 }, u64(0, 0))?.unique, 6);
  assert.equal(kernel.server.pending, 1);
  finish(0);
  await slow;
  assert.deepEqual([kernel.wire.told[1]?.unique, kernel.server.pending], [4, 0]);
});

test("an interrupted request is answered EINTR at once, its late answer thrown away", async () => {
  let finish: (value: number) => void = () => {};
  const slow = new Promise<number>((resolve) => (finish = resolve));
  let signal: AbortSignal | undefined;
  const statfs: FileSystem["statfs"] = (_node, _totals, caller) => {
    signal = caller.signal;
    return slow;
  };
  const kernel = new Kernel({ ...bare, statfs });
  kernel.ask({ opcode: OPCODE.statfs, unique: 4 });
  const told = kernel.ask({ opcode: OPCODE.interrupt, unique: 5 }, u64(4))!;
  assert.deepEqual([told.unique, told.error], [4, -ERRNO.EINTR]);
  assert.ok(signal?.aborted);
  finish(0);
  await slow;
  assert.equal(kernel.wire.told.length, 1);
  // Of a request that was answered, an interruption says nothing.
  assert.equal(kernel.ask({ opcode: OPCODE.interrupt }, u64(4)), undefined);
});

test("more promises than the limit are refused and counted", () => {
  const never = new Promise<number>(() => {});
  const kernel = new Kernel({ ...bare, statfs: () => never }, { pendingMax: 2 });
  for (const unique of [2, 4]) kernel.ask({ opcode: OPCODE.statfs, unique });
  assert.equal(kernel.ask({ opcode: OPCODE.statfs, unique: 6 })?.error, -ERRNO.EBUSY);
  assert.equal(kernel.server.counters.refused, 1);
});

test("what a function throws is its errno, or EIO and told", async () => {
  const errors: unknown[] = [];
  const wrong = new Error("wrong");
  const kernel = new Kernel(
    {
      ...bare,
      statfs: () => {
        throw Object.assign(new Error("no"), { code: "EACCES" });
      },
      flush: () => Promise.reject(wrong),
    },
    { onError: (error) => errors.push(error) },
  );
  assert.equal(kernel.ask({ opcode: OPCODE.statfs })?.error, -ERRNO.EACCES);
  kernel.ask({ opcode: OPCODE.flush }, new Uint8Array(24));
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(kernel.wire.told[1]?.error, -ERRNO.EIO);
  assert.deepEqual([errors, kernel.server.counters.thrown], [[wrong], 1]);
});

test("with the writeback cache a file has no holes, because what is unwritten would be one", () => {
  const kernel = new Kernel(ram(), { writeback: true });
  kernel.init(45, INIT.writebackCache);
  const told = kernel.ask({ opcode: OPCODE.lseek }, u64(0, 0), u32(3, 0));
  assert.equal(told?.error, -ERRNO.ENOSYS);
});

test("many forgets come in one message", () => {
  const forgotten: number[][] = [];
  const kernel = new Kernel({ ...bare, forget: (...told) => forgotten.push(told) });
  kernel.ask({ opcode: OPCODE.batchForget }, u32(2, 0), concat(u64(5, 1), u64(6, 2)));
  assert.deepEqual(forgotten, [
    [5, 1],
    [6, 2],
  ]);
});
