/**
 * The door of the FUSE protocol: messages, the server's state machine, the interface of file
 * systems by nodes and by paths, and a file system in memory.
 */
export {
  type Awaitable,
  isVirtualFiles,
  type VirtualChange,
  type VirtualFiles,
  virtualFiles,
  type VirtualStat,
} from "../base/index.ts";
export { Exchange } from "./exchange.ts";
export * from "./file-system.ts";
export { decodeName, encodeName, nameOctets, nameToOctets } from "./names.ts";
export { DATA_OCTETS_MAX, type Session, type SessionOptions } from "./negotiation.ts";
export * from "./notify.ts";
export * from "./protocol.ts";
export { RamFileSystem, type RamOptions } from "./ram.ts";
export { FuseReply, ReplyDirectoryList } from "./reply.ts";
export { FuseRequest, type RequestProblem } from "./request.ts";
export {
  errnoOf,
  FuseServer,
  type FuseWire,
  type ServerCounters,
  type ServerOptions,
} from "./server.ts";
export {
  type Invalidations,
  VirtualFileSystem,
  type VirtualFileSystemOptions,
} from "./virtual-file-system.ts";
