/**
 * Frames two Linux kernels exchanged over a vde_switch (TAP devices without offloads, so that every
 * checksum is complete): ARP, neighbour discovery, MLD, pings whole and in fragments, TCP over both
 * IPs, refused and unreachable ports. Recorded by tcpdump as a classic capture.
 */
import { readFileSync } from "node:fs";
import { readCapture } from "../src/wire/index.ts";

/** The capture file as it stands. */
export function realCapture(): Uint8Array {
  // A plain array: of a Buffer, `slice` would be a window and not a copy.
  return new Uint8Array(readFileSync(realCapturePath()));
}

/** Where it is: seen from the compiled file. */
export function realCapturePath(): URL {
  return new URL("../../test/fixtures/real-frames.pcap", import.meta.url);
}

/** Its frames, in order. */
export function realFrames(): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (const record of readCapture(realCapture())) {
    if (record.kind === "frame") frames.push(record.octets);
  }
  return frames;
}
