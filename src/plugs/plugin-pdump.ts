/**
 * The plugin `pdump` of vde_switch: every frame, in and out, in a file of libpcap's. As there the
 * frames are whole while the head promises 96 octets of each, so that readers built on libpcap show
 * no more. `v2 switch --capture` writes pcapng with ports and directions.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import { ERRNO, type ErrnoName, errnoText } from "../base/index.ts";
import {
  atoi,
  MENU_SYNTAX,
  type PluginFrame,
  type PluginHost,
  type SwitchPlugin,
} from "../vde/index.ts";
import { emitPcapHead, emitPcapRecord } from "../wire/index.ts";

const FILE_DEFAULT = "vde_dump.cap";
const SNAP_OCTETS = 96;
/** Written at once when buffered. */
const BUFFER_OCTETS = 64 * 1024;

/** A file that is being written; nothing is written to it before the first frame. */
class DumpFile {
  readonly path: string;
  readonly #fd: number;
  #blocks: Uint8Array[] = [emitPcapHead(SNAP_OCTETS)];
  #waiting = 0;

  /** @throws what open(2) says. */
  constructor(path: string) {
    this.path = path;
    this.#fd = openSync(path, "w", 0o600);
  }

  put({ octets, timeMs }: PluginFrame, isBuffered: boolean): void {
    const record = emitPcapRecord(octets, timeMs);
    this.#blocks.push(record);
    this.#waiting += record.length;
    if (!isBuffered || this.#waiting >= BUFFER_OCTETS) this.flush();
  }

  close(): void {
    try {
      this.flush();
    } finally {
      closeSync(this.#fd);
    }
  }

  /** Writes what waits. */
  flush(): void {
    let octets = Buffer.concat(this.#blocks);
    // Before the write: what a full disk does not take is lost, not kept for ever.
    this.#blocks = [];
    this.#waiting = 0;
    while (octets.length > 0) octets = octets.subarray(writeSync(this.#fd, octets));
  }
}

/** Makes it for one switch. */
export function makePdump(host: PluginHost): SwitchPlugin {
  let file: DumpFile | undefined;
  let isActive = false;
  let isBuffered = false;
  void host.watchFrames(false);

  /** Goes on in another file; the old one stays when that cannot be. @returns an errno. */
  function setFile(path: string, print: (line: string) => void): number {
    const before = file;
    try {
      file = new DumpFile(path);
    } catch (error) {
      const code = ERRNO[(error as NodeJS.ErrnoException).code as ErrnoName] ?? ERRNO.EIO;
      print(`set_dumper() open(${path}): ${errnoText(code)}`);
      print(`ERROR: cannot dump to ${path}`);
      return ERRNO.EINVAL;
    }
    before?.close();
    return 0;
  }

  async function setActive(text: string, print: (line: string) => void): Promise<number> {
    const wanted = atoi(text) !== 0;
    if (wanted === isActive) return wanted ? ERRNO.EEXIST : ERRNO.ENOENT;
    if (wanted && file === undefined && setFile(FILE_DEFAULT, print) !== 0) return ERRNO.EINVAL;
    if (wanted) isActive = true;
    await host.watchFrames(wanted);
    isActive = wanted;
    if (!wanted) file?.flush();
    return 0;
  }

  return {
    name: "pdump",
    help: "dump packets to file, in pcap format",
    commands: [
      { path: "pdump", syntax: MENU_SYNTAX, help: "DUMP Packets to file" },
      {
        path: "pdump/active",
        syntax: "0/1",
        help: "start dumping data",
        hasData: true,
        run: setActive,
      },
      {
        path: "pdump/filename",
        syntax: "<file>",
        help: `set/show output filename (default: ${FILE_DEFAULT})`,
        hasData: true,
        run: (path, print) => {
          const error = path === "" ? 0 : setFile(path, print);
          if (error === 0) print(`dumpfile=${file?.path ?? FILE_DEFAULT}`);
          return error;
        },
      },
      {
        path: "pdump/buffered",
        syntax: "0/1",
        help: "set buffered/unbuffered dump",
        run: (text) => {
          isBuffered = atoi(text) !== 0;
        },
      },
    ],
    categories: [
      { path: "pdump/packetin", tag: 0o101, help: "dump incoming packet to file" },
      { path: "pdump/packetout", tag: 0o102, help: "dump outgoing packet to file" },
    ],
    frame: (frame) => {
      if (isActive) file?.put(frame, isBuffered);
    },
    close: () => file?.close(),
  };
}
