/** What the parts of the machine tell about a connection as a whole. */
import type { TcpConnection } from "./connection.ts";

/** What happens to a connection as a whole. */
export interface Lifecycle {
  /** The handshake is over. */
  established(connection: TcpConnection): void;
  /** It is in TIME-WAIT now. */
  waiting(connection: TcpConnection): void;
  /** It is gone: tables forget it. @param errno 0: it ended as it should. */
  gone(connection: TcpConnection, errno: number): void;
}
