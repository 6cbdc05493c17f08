import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makePipe, setSendBuffer, unixSocketPair } from "../sys/index.ts";
import { type EndPair, testEndConformance } from "./conformance.ts";
import { RawEnd } from "./character-end.ts";
import { DatagramEnd } from "./datagram-end.ts";
import { memPair } from "./mem-end.ts";
import { StreamEnd } from "./stream-end.ts";
import { openVdeAsync } from "./vde-end.ts";
import { VdeServer } from "./vde-server.ts";

testEndConformance("mem", () => {
  const [end, peer] = memPair();
  return { end, peer };
});

testEndConformance("stream on a socket", () => {
  const [left, right] = unixSocketPair("stream");
  return {
    end: new StreamEnd({ description: "left", readFd: left, writeFd: left }),
    peer: new StreamEnd({ description: "right", readFd: right, writeFd: right }),
  };
});

testEndConformance(
  "stream on pipes",
  () => {
    const [leftIn, rightOut] = makePipe();
    const [rightIn, leftOut] = makePipe();
    return {
      end: new StreamEnd({ description: "left", readFd: leftIn, writeFd: leftOut }),
      peer: new StreamEnd({ description: "right", readFd: rightIn, writeFd: rightOut }),
    };
  },
  { framesMax: 9018 },
);

testEndConformance(
  "raw on packet pipes",
  () => {
    const [leftIn, rightOut] = makePipe();
    const [rightIn, leftOut] = makePipe();
    return {
      end: new RawEnd({ description: "left", readFd: leftIn, writeFd: leftOut }),
      peer: new RawEnd({ description: "right", readFd: rightIn, writeFd: rightOut }),
    };
  },
  { framesMax: 4096 },
);

testEndConformance(
  "datagram",
  () => {
    const [left, right] = unixSocketPair("datagram");
    for (const fd of [left, right]) setSendBuffer(fd, 1 << 20);
    return {
      end: new DatagramEnd({ scheme: "vde", description: "left", fd: left }),
      peer: new DatagramEnd({ scheme: "vde", description: "right", fd: right }),
    };
  },
  { isUnawareOfPeer: true },
);

testEndConformance(
  "datagram with headers",
  () => {
    const [left, right] = unixSocketPair("datagram");
    for (const fd of [left, right]) setSendBuffer(fd, 1 << 20);
    const options = { scheme: "vde", offload: true };
    return {
      end: new DatagramEnd({ ...options, description: "left", fd: left }),
      peer: new DatagramEnd({ ...options, description: "right", fd: right }),
    };
  },
  { isUnawareOfPeer: true },
);

// Two cables of one switch: lossless towards a reader, but a stuck peer's frames are dropped.
testEndConformance(
  "vde through a switch",
  async (): Promise<EndPair> => {
    const directory = mkdtempSync(join(tmpdir(), "v2-conformance-"));
    const server = await VdeServer.start({ directory });
    const [end, peer] = await Promise.all([
      openVdeAsync({ directory }),
      openVdeAsync({ directory }),
    ]);
    return {
      end,
      peer,
      close: async () => {
        await server.close();
        rmSync(directory, { recursive: true, force: true });
      },
    };
  },
  { framesMin: 60, isLossy: true, isUnawareOfPeer: true },
);
