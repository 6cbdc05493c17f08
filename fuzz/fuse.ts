/** The FUSE server as a target: whatever a kernel might send, it answers in whole messages. */
import assert from "node:assert/strict";
import { ManualClock } from "../src/base/index.ts";
import {
  decodeName,
  FuseServer,
  nameToOctets,
  OPCODE,
  RamFileSystem,
  VirtualFileSystem,
} from "../src/fuse/index.ts";
import { cstring, message, RecordingWire, u32, u64 } from "../test/fuse-messages.ts";
import type { FuzzTarget } from "./target.ts";

/** One request of each shape. */
function requests(): Uint8Array[] {
  const io = [u64(0, 0), u32(4096, 0), u64(0), u32(0, 0)];
  const names = [OPCODE.lookup, OPCODE.unlink, OPCODE.rmdir, OPCODE.removexattr];
  return [
    ...names.map((opcode) => message({ opcode }, cstring("name"))),
    ...[OPCODE.readdir, OPCODE.readdirplus, OPCODE.read].map((opcode) =>
      message({ opcode }, ...io),
    ),
    message({ opcode: OPCODE.init }, u32(7, 45, 131_072, 0xffff_ffff, 0), new Uint8Array(44)),
    message({ opcode: OPCODE.mknod }, u32(0o100644, 0, 0, 0), cstring("file")),
    message({ opcode: OPCODE.mkdir }, u32(0o755, 0), cstring("directory")),
    message({ opcode: OPCODE.create }, u32(2, 0o644, 0, 0), cstring("created")),
    message({ opcode: OPCODE.symlink }, cstring("link"), cstring("/target")),
    message({ opcode: OPCODE.rename2 }, u64(1), u32(0, 0), cstring("file"), cstring("other")),
    message({ opcode: OPCODE.link }, u64(2), cstring("second")),
    message({ opcode: OPCODE.write, node: 2 }, u64(0, 0), u32(4, 0), u64(0), u32(0, 0), u32(7)),
    message({ opcode: OPCODE.setattr, node: 2 }, u32(8, 0), u64(0, 100), new Uint8Array(64)),
    message({ opcode: OPCODE.setxattr }, u32(2, 0), cstring("user.a"), u32(7)),
    message({ opcode: OPCODE.getxattr }, u32(10, 0), cstring("user.a")),
    message({ opcode: OPCODE.fallocate, node: 2 }, u64(0, 0, 4096), u32(0, 0)),
    message({ opcode: OPCODE.copyFileRange, node: 2 }, u64(0, 0, 2, 0, 0, 100, 0)),
    message({ opcode: OPCODE.batchForget }, u32(1, 0), u64(2, 1)),
    message({ opcode: OPCODE.lseek, node: 2 }, u64(0, 0), u32(3, 0)),
  ];
}

const SIZE_MAX = 1 << 20;

/** Serves the mutated message between good ones; the wire checks the length of each reply. */
function serve(server: FuseServer, octets: Uint8Array): void {
  let x = server.takeExchange();
  for (const one of [requests()[8]!, octets, requests()[0]!]) {
    x.request.octets.set(one);
    x = server.serve(x, one.length);
  }
}

export const FUSE_TARGETS: readonly FuzzTarget[] = [
  {
    name: "fuse-ram",
    seeds: requests,
    run(octets) {
      const files = new RamFileSystem(new ManualClock(), { octetsMax: SIZE_MAX });
      const options = {
        dataOctetsMax: 65_536,
        onError: (error: unknown) => assert.fail(String(error)),
      };
      serve(new FuseServer(files, new RecordingWire(), options), octets);
    },
  },
  {
    name: "fuse-virtual",
    seeds: requests,
    run(octets) {
      const files = new VirtualFileSystem({
        list: () => ["name"],
        stat: (path) => ({ type: path === "/" ? "directory" : "file" }),
        read: (path) => path,
        write: () => {},
        remove: () => {},
        rename: () => {},
        mkdir: () => {},
      });
      const options = {
        dataOctetsMax: 65_536,
        onError: (error: unknown) => assert.fail(String(error)),
      };
      serve(new FuseServer(files, new RecordingWire(), options), octets);
    },
  },
  {
    name: "fuse-name",
    seeds: () => ["plain", "ümläut", "日本", "🙂"].map((text) => new TextEncoder().encode(text)),
    run(octets) {
      assert.deepEqual(nameToOctets(decodeName(octets)), octets.slice());
    },
  },
];
