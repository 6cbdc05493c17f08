/**
 * What TCP_INFO tells: struct tcp_info of linux/tcp.h, little endian, as far as it means something.
 */
import { RECOVERY, STATE, type TcpConnection } from "../tcp/connection.ts";

/** Octets of the structure; what is behind tcpi_snd_wnd, at 228, is zero. */
const INFO_OCTETS = 280;

/** TCP_ESTABLISHED and so on (net/tcp_states.h), by our states. */
const LINUX_STATE: { readonly [state: number]: number } = {
  [STATE.closed]: 7,
  [STATE.listen]: 10,
  [STATE.synSent]: 2,
  [STATE.synReceived]: 3,
  [STATE.established]: 1,
  [STATE.closeWait]: 8,
  [STATE.finWait1]: 4,
  [STATE.finWait2]: 5,
  [STATE.closing]: 11,
  [STATE.lastAck]: 9,
  [STATE.timeWait]: 6,
};
/** TCP_CA_Open, _Recovery, _Loss, by what is being repaired; _Disorder while ranges are missing. */
const CA = { open: 0, disorder: 1, recovery: 3, loss: 4 } as const;
const OPTION = { timestamps: 1, sack: 2, scale: 4, ecn: 8 } as const;
const INFINITE = 0x7fff_ffff;

/** The report about a connection at `nowMs`. */
export function tcpInfo(connection: TcpConnection, nowMs: number): Uint8Array {
  const octets = new Uint8Array(INFO_OCTETS);
  const view = new DataView(octets.buffer);
  const { board, roundTrip, congestion, segment } = connection;
  const count = (amount: number): number => Math.ceil(amount / segment);
  const u32 = (at: number, value: number): void => view.setUint32(at, Math.max(0, value), true);
  octets[0] = LINUX_STATE[connection.state] ?? 0;
  octets[1] = stateOfRecovery(connection);
  octets[2] = connection.retries;
  octets[3] = connection.probesUnanswered;
  octets[4] = roundTrip.backoff;
  octets[5] =
    (connection.hasTimestamps ? OPTION.timestamps : 0) |
    (connection.hasSack ? OPTION.sack : 0) |
    (connection.hasScale ? OPTION.scale : 0) |
    (connection.hasEcn ? OPTION.ecn : 0);
  octets[6] = connection.sendScale | (connection.receiveScale << 4);
  u32(8, roundTrip.timeoutMs * 1000);
  u32(12, 40_000);
  u32(16, segment);
  u32(20, Math.min(segment, 536));
  u32(24, count((connection.next - connection.una) | 0));
  u32(28, count(board.sackedOctets));
  u32(32, count(board.lostOctets));
  u32(36, count(board.retransmittedOctets));
  u32(44, nowMs - connection.lastSentMs);
  u32(52, nowMs - connection.lastReceivedMs);
  u32(60, connection.way.mtuOctets);
  u32(64, connection.receiveOctets);
  u32(68, roundTrip.smoothedMs * 1000);
  u32(72, roundTrip.variationMs * 1000);
  u32(76, Math.min(INFINITE, Math.floor(congestion.threshold / segment)));
  u32(80, Math.floor(congestion.window / segment));
  u32(84, connection.way.mtuOctets - (connection.way.isIpv4 ? 40 : 60));
  u32(88, 3);
  u32(92, connection.receiveRttMs * 1000);
  u32(96, connection.receiveOctets);
  u32(100, connection.retransmissions);
  u32(144, connection.unsent);
  u32(148, Number.isFinite(roundTrip.minMs) ? roundTrip.minMs * 1000 : 0xffff_ffff);
  u32(228, connection.window);
  return octets;
}

function stateOfRecovery(connection: TcpConnection): number {
  if (connection.recovery === RECOVERY.timeout) return CA.loss;
  if (connection.recovery === RECOVERY.fast) return CA.recovery;
  return connection.board.sackedOctets > 0 || connection.duplicateAcks > 0 ? CA.disorder : CA.open;
}
