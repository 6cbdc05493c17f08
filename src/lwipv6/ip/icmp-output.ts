/** Sending ICMP messages of both families: the checksum, and the IP layer below. */
import { writeU16 } from "../../base/index.ts";
import { checksumOf, ICMP_AT, IP_PROTOCOL } from "../../wire/index.ts";
import type { StackCore } from "../core.ts";
import { type Destination, type SendOptions, USUAL_OPTIONS } from "../destination.ts";
import type { Ip } from "./ip.ts";

/**
 * Fills in the checksum of the message in `slot` and sends it; the slot is gone afterwards.
 * @param way a negative errno: nothing is sent.
 */
export function sendIcmp(
  core: StackCore,
  ip: Ip,
  slot: number,
  way: Destination | number,
  settings: Partial<SendOptions> = {},
): void {
  const { pool } = core;
  if (typeof way === "number") {
    core.counters.count("icmp.no-way-back");
    pool.release(slot);
    return;
  }
  const at = pool.start[slot]!;
  const length = pool.length[slot]!;
  const protocol = way.isIpv4 ? IP_PROTOCOL.icmp : IP_PROTOCOL.icmp6;
  const pseudo = way.isIpv4 ? 0 : way.addressSum + length + protocol;
  writeU16(pool.octets, at + ICMP_AT.checksum, 0);
  const sum = core.arena.sum(at, at + length, pseudo);
  writeU16(pool.octets, at + ICMP_AT.checksum, checksumOf(sum));
  const flowLabel = ip.flowLabel(way, 0, 0);
  ip.send(slot, way, protocol, { ...USUAL_OPTIONS, flowLabel, ...settings });
}
