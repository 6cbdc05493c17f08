/** Which FUSE server serves a file-system image, told by the image's magic number. */
import { closeSync, openSync, readSync } from "node:fs";
import { EXIT, V2Error } from "../base/index.ts";
import type { ImageMount } from "./topology.ts";

interface ImageFormat {
  readonly name: string;
  readonly offset: number;
  readonly magic: readonly number[];
  /** Debian package of the server. */
  readonly package: string;
  /** The server in the foreground. */
  argv(image: ImageMount): readonly string[];
}

const FORMATS: readonly ImageFormat[] = [
  {
    name: "squashfs",
    offset: 0,
    magic: [0x68, 0x73, 0x71, 0x73],
    package: "squashfuse",
    argv: ({ file, mount }) => ["squashfuse", "-f", file, mount],
  },
  {
    // s_magic of the ext2 super block at 1024 (ext4(5)).
    name: "ext2/3/4",
    offset: 1024 + 56,
    magic: [0x53, 0xef],
    package: "fuse2fs",
    argv: ({ file, mount }) => ["fuse2fs", "-f", "-o", "ro", file, mount],
  },
];

export interface ImageServer {
  readonly argv: readonly string[];
  readonly package: string;
}

/** @throws V2Error BAD_IMAGE when the file is of no known format. */
export function imageServer(image: ImageMount): ImageServer {
  const head = Buffer.alloc(2048);
  const fd = openSync(image.file, "r");
  try {
    readSync(fd, head, 0, head.length, 0);
  } finally {
    closeSync(fd);
  }
  const format = FORMATS.find(({ offset, magic }) => magic.every((o, i) => head[offset + i] === o));
  if (format === undefined) {
    throw new V2Error("BAD_IMAGE", `'${image.file}' is no file-system image that can be mounted`, {
      remedy: `known formats: ${FORMATS.map((f) => f.name).join(", ")}`,
      exitCode: EXIT.usage,
    });
  }
  return { argv: format.argv(image), package: format.package };
}
