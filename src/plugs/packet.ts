/**
 * `packet`: the far end of a veth pair, read and written by a packet socket. Works for an ordinary
 * user inside a user namespace also where the TAP device is not accessible. The near end of the
 * pair lies in a network namespace of its own that nothing else uses, so that no other program sees
 * or answers the frames; it lives as long as the socket.
 */
import { closeSync } from "node:fs";
import { FRAME_OCTETS_MAX, type FramePool } from "../base/index.ts";
import {
  createNetworkNamespace,
  disableOffloads,
  inNetworkNamespace,
  INTERFACE_GONE,
  type LinkSettings,
  Netlink,
  type PacketCounters,
  PacketSocket,
} from "../sys/index.ts";
import { readVnetHeader, writeVnetHeader } from "../wire/index.ts";
import { BATCH_FRAMES, type CableEnd, END_CLOSED } from "./end.ts";

const NEAR_NAME = "cable";

/** The far end of a veth pair as a cable end. */
export class PacketEnd implements CableEnd {
  readonly scheme = "packet";
  readonly description: string;
  readonly receiveFd: number;
  readonly sendFd: number;
  readonly offload: boolean;
  /** Frames whose header made no sense: not handed on. */
  malformed = 0;
  readonly #socket: PacketSocket;
  readonly #namespaceFd: number;
  #isOpen = true;

  /**
   * Makes the interface `far` in the network namespace behind `farNamespaceFd`; sets only the near
   * end up.
   * @param offload frames may be unfinished, both ways; the far end then keeps those of its
   *   offloads that such frames can say.
   * @throws V2Error EPERM without CAP_SYS_ADMIN and CAP_NET_ADMIN, EEXIST when the name is in use.
   */
  constructor(far: LinkSettings, farNamespaceFd: number, offload = false) {
    this.offload = offload;
    this.description = `veth ${far.name}`;
    this.#namespaceFd = createNetworkNamespace();
    try {
      this.#socket = inNetworkNamespace(this.#namespaceFd, () =>
        openNear(far, farNamespaceFd, offload),
      );
    } catch (error) {
      closeSync(this.#namespaceFd);
      throw error;
    }
    this.receiveFd = this.#socket.fd;
    this.sendFd = this.#socket.fd;
  }

  get counters(): PacketCounters {
    return this.#socket.counters;
  }

  /** Frames lost because nobody read in time. */
  kernelDrops(): number {
    return this.#socket.kernelDrops();
  }

  receive(pool: FramePool, slots: Int32Array, count: number): number {
    const received = this.#socket.receive(pool, slots, count);
    if (received === INTERFACE_GONE) return END_CLOSED;
    return this.offload ? this.#readHeaders(pool, slots, received) : received;
  }

  send(pool: FramePool, slots: Int32Array, from: number, count: number): number {
    if (this.offload) {
      for (let i = from; i < from + count; i++) writeVnetHeader(pool, slots[i]!);
    }
    const sent = this.#socket.send(pool, slots, from, count);
    return sent === INTERFACE_GONE ? END_CLOSED : sent;
  }

  /** Keeps the frames whose header makes sense, in front. @returns how many. */
  #readHeaders(pool: FramePool, slots: Int32Array, received: number): number {
    let kept = 0;
    for (let i = 0; i < received; i++) {
      const slot = slots[i]!;
      if (!readVnetHeader(pool, slot)) {
        this.malformed++;
        continue;
      }
      slots[i] = slots[kept]!;
      slots[kept++] = slot;
    }
    return kept;
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#socket.close();
    try {
      // The kernel would delete the pair some time after the namespace; the name should be free at
      // once.
      inNetworkNamespace(this.#namespaceFd, () => {
        using netlink = new Netlink();
        netlink.deleteLink(netlink.link(NEAR_NAME).index);
      });
    } catch {
      // Gone already, with the namespace of the far end.
    }
    closeSync(this.#namespaceFd);
  }
}

function openNear(far: LinkSettings, farNamespaceFd: number, offload: boolean): PacketSocket {
  using netlink = new Netlink();
  const mtu = far.mtu === undefined ? {} : { mtu: far.mtu };
  netlink.createVethPair({ name: NEAR_NAME, ...mtu }, far, farNamespaceFd);
  const { index } = netlink.link(NEAR_NAME);
  netlink.withoutOwnAddress(index);
  if (!offload) disableOffloads(NEAR_NAME);
  const socket = new PacketSocket(index, BATCH_FRAMES, FRAME_OCTETS_MAX, offload);
  netlink.setUp(index);
  return socket;
}
