/** What a received ICMP error means for the sender of the packet that it is about. */
import { ERRNO } from "../../base/index.ts";
import { ICMP6_TYPE, ICMP_TYPE, UNREACHABLE6_CODE, UNREACHABLE_CODE } from "../../wire/index.ts";
import type { PacketError } from "../packet.ts";

/** The part of a PacketError that type and code decide. */
export type Meaning = Pick<PacketError, "kind" | "errno" | "isHard">;

/** RFC 1122 §4.2.3.9: protocol and port unreachable are hard errors. */
export function meaning4(type: number, code: number): Meaning {
  if (type === ICMP_TYPE.timeExceeded) {
    return { kind: "time-exceeded", errno: ERRNO.EHOSTUNREACH, isHard: false };
  }
  if (type === ICMP_TYPE.parameterProblem) {
    return { kind: "parameter-problem", errno: ERRNO.EPROTO, isHard: false };
  }
  switch (code) {
    case UNREACHABLE_CODE.protocol:
      return { kind: "unreachable", errno: ERRNO.ENOPROTOOPT, isHard: true };
    case UNREACHABLE_CODE.port:
      return { kind: "unreachable", errno: ERRNO.ECONNREFUSED, isHard: true };
    case UNREACHABLE_CODE.fragmentationNeeded:
      return { kind: "packet-too-big", errno: ERRNO.EMSGSIZE, isHard: false };
    case UNREACHABLE_CODE.network:
      return { kind: "unreachable", errno: ERRNO.ENETUNREACH, isHard: false };
    default:
      return { kind: "unreachable", errno: ERRNO.EHOSTUNREACH, isHard: false };
  }
}

/** RFC 4443 §3. */
export function meaning6(type: number, code: number): Meaning {
  switch (type) {
    case ICMP6_TYPE.packetTooBig:
      return { kind: "packet-too-big", errno: ERRNO.EMSGSIZE, isHard: false };
    case ICMP6_TYPE.timeExceeded:
      return { kind: "time-exceeded", errno: ERRNO.EHOSTUNREACH, isHard: false };
    case ICMP6_TYPE.parameterProblem:
      return { kind: "parameter-problem", errno: ERRNO.EPROTO, isHard: code === 1 };
    default:
      break;
  }
  switch (code) {
    case UNREACHABLE6_CODE.noRoute:
      return { kind: "unreachable", errno: ERRNO.ENETUNREACH, isHard: false };
    case UNREACHABLE6_CODE.administrative:
      return { kind: "unreachable", errno: ERRNO.EACCES, isHard: true };
    case UNREACHABLE6_CODE.port:
      return { kind: "unreachable", errno: ERRNO.ECONNREFUSED, isHard: true };
    default:
      return { kind: "unreachable", errno: ERRNO.EHOSTUNREACH, isHard: false };
  }
}

/** RFC 1191 §7.1. */
const PLATEAUS = [32_000, 17_914, 8166, 4352, 2002, 1492, 1006, 508, 296];

/** The next smaller MTU that links of old had; 68: none. */
export function plateauBelow(octets: number): number {
  return PLATEAUS.find((plateau) => plateau < octets) ?? 68;
}
