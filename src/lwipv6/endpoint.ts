/** What the socket layer knows of a transport's endpoint: whether it is ready, and when to look. */

/** poll(2) bits. */
export const POLL = {
  in: 0x001,
  priority: 0x002,
  out: 0x004,
  error: 0x008,
  hangUp: 0x010,
  readHangUp: 0x2000,
} as const;

/** One connection, listener, datagram or raw socket. */
export interface Endpoint {
  /** POLL bits that hold now. */
  readiness(): number;
  /** Called after a step in which a POLL bit may have been set; never from within a call. */
  onReady: (() => void) | undefined;
}
