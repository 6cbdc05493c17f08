/**
 * A packet(7) socket on one network interface: whole Ethernet frames in and out, in batches,
 * straight between the kernel and memory slots. The VLAN tag that the kernel takes out of a
 * received frame is reported beside it (PACKET_AUXDATA) and put back in its place (IEEE 802.1Q §9).
 */
import { ERRNO, errnoName, errnoText, V2Error } from "../base/index.ts";
import { addressOf, check, declare, errno } from "./libc.ts";
import { MessageBatch } from "./packet-batch.ts";
import { closeDescriptor } from "./session-socket.ts";

const AF_PACKET = 17;
const SOCK_RAW_NONBLOCK_CLOEXEC = 3 | 0o4000 | 0o2000000;
/** htons(ETH_P_ALL), as socket(2) and sockaddr_ll want it. */
const EVERY_PROTOCOL = 0x0300;
const SOL_SOCKET = 1;
const SO = {
  sendBuffer: 7,
  receiveBuffer: 8,
  sendBufferForce: 32,
  receiveBufferForce: 33,
} as const;
const SOL_PACKET = 263;
const PACKET = {
  addMembership: 1,
  statistics: 6,
  auxiliaryData: 8,
  vnetHeader: 15,
  ignoreOutgoing: 23,
} as const;
const PACKET_MR_PROMISCUOUS = 1;
const MSG_DONTWAIT = 0x40;
const MSG_TRUNC = 0x20;

const AUXILIARY = { status: 0, vlanTag: 16, vlanProtocol: 18, octets: 20 } as const;
const STATUS_VLAN_VALID = 0x10;
const STATUS_VLAN_PROTOCOL_VALID = 0x40;
const STATUS_CHECKSUM_NOT_READY = 0x08;
const ETHERTYPE_VLAN = 0x8100;
const ADDRESSES_OCTETS = 12;
const VLAN_TAG_OCTETS = 4;

/** Octets of struct virtio_net_hdr. */
const VNET_HEADER_OCTETS = 10;
const VNET_NEEDS_CHECKSUM = 1;
const VNET_HEADER_LENGTH_AT = 2;
const VNET_CHECKSUM_START_AT = 6;

/** Room in the kernel for frames that wait for us, per socket; enough for 64 super-frames. */
const BUFFER_OCTETS = 4 * 1024 * 1024;

const cSocket = declare<(family: number, type: number, protocol: number) => number>(
  "int socket(int family, int type, int protocol)",
);
const cBind = declare<(fd: number, address: Uint8Array, length: number) => number>(
  "int bind(int fd, void *address, uint32_t length)",
);
const cSetsockopt = declare<
  (fd: number, level: number, option: number, value: Uint8Array, length: number) => number
>("int setsockopt(int fd, int level, int option, void *value, uint32_t length)");
const cGetsockopt = declare<
  (fd: number, level: number, option: number, value: Uint8Array, length: Uint8Array) => number
>("int getsockopt(int fd, int level, int option, void *value, void *length)");
const cRecvmmsg = declare<
  (fd: number, headers: Uint8Array, count: number, flags: number, timeout: null) => number
>("int recvmmsg(int fd, void *headers, unsigned int count, int flags, void *timeout)");
const cSendmmsg = declare<
  (fd: number, headers: Uint8Array, count: number, flags: number) => number
>("int sendmmsg(int fd, void *headers, unsigned int count, int flags)");

/** The slots a batch is read into and written from: the fields of a FramePool. */
export interface Slots {
  readonly octets: Uint8Array;
  readonly start: Uint32Array;
  readonly length: Uint32Array;
}

/** What happened to frames that did not pass. */
export interface PacketCounters {
  /** Received frames longer than their slot. */
  oversizedReceived: number;
  /** Received frames without a checksum: the sender has switched its offloads on again. */
  withoutChecksum: number;
  /** Received frames whose offloads no virtio-net header can say. */
  undescribed: number;
  /** Frames the interface refused to send: longer than its MTU, or shorter than a header. */
  refusedSent: number;
}

/** Result of receive and send when the interface is gone. */
export const INTERFACE_GONE = -1;

/** A raw packet socket bound to one interface (packet(7)). */
export class PacketSocket {
  readonly fd: number;
  readonly counters: PacketCounters = {
    oversizedReceived: 0,
    withoutChecksum: 0,
    undescribed: 0,
    refusedSent: 0,
  };
  readonly #batch: number;
  readonly #slotOctets: number;
  readonly #incoming: MessageBatch;
  readonly #outgoing: MessageBatch;
  /** Octets in front of each frame. */
  readonly #head: number;
  readonly #statistics = new Uint8Array(8);
  #kernelDrops = 0;
  #isOpen = true;

  /**
   * Binds to the interface with this index in the calling thread's network namespace, promiscuous.
   * @param batch frames per call at most. @param slotOctets room of one slot behind its start.
   * @param hasVnetHeader a struct virtio_net_hdr of ten octets stands before each frame, in the
   *   room of its slot; frames may be unfinished (PACKET_VNET_HDR).
   * @throws V2Error EPERM without CAP_NET_RAW, ENODEV.
   */
  constructor(interfaceIndex: number, batch: number, slotOctets: number, hasVnetHeader = false) {
    this.#head = hasVnetHeader ? VNET_HEADER_OCTETS : 0;
    this.#batch = batch;
    this.#slotOctets = slotOctets;
    this.#incoming = new MessageBatch(batch, AUXILIARY.octets);
    this.#outgoing = new MessageBatch(batch, 0);
    this.fd = check(
      cSocket(AF_PACKET, SOCK_RAW_NONBLOCK_CLOEXEC, 0),
      "socket",
      "AF_PACKET",
      "this needs CAP_NET_RAW in the network namespace",
    );
    try {
      this.#configure(interfaceIndex);
    } catch (error) {
      closeDescriptor(this.fd);
      throw error;
    }
  }

  /**
   * Reads waiting frames into `slots.octets` at `slots.start[slotNumbers[i]]`. A start moves four
   * octets forward in memory where a VLAN tag is put back, so the slots must be freshly taken.
   * @returns frames read; 0: none now; INTERFACE_GONE.
   */
  receive(slots: Slots, slotNumbers: Int32Array, count: number): number {
    const wanted = Math.min(count, this.#batch);
    const base = Number(addressOf(slots.octets)) - this.#head;
    const room = this.#slotOctets + this.#head;
    for (let i = 0; i < wanted; i++) {
      this.#incoming.prepare(i, base + slots.start[slotNumbers[i]!]!, room);
    }
    const received = cRecvmmsg(this.fd, this.#incoming.headers, wanted, MSG_DONTWAIT, null);
    if (received === -1) return this.#receiveFailure();
    let kept = 0;
    for (let i = 0; i < received; i++) kept = this.#accept(slots, slotNumbers, i, kept);
    return kept;
  }

  /**
   * Writes frames. One that the interface can never carry is dropped and counted as taken.
   * @returns frames taken; fewer than `count`: the queue is full, wait until writable;
   *   INTERFACE_GONE.
   */
  send(slots: Slots, slotNumbers: Int32Array, from: number, count: number): number {
    const head = this.#head;
    const base = Number(addressOf(slots.octets)) - head;
    let taken = 0;
    while (taken < count) {
      const wanted = Math.min(count - taken, this.#batch);
      for (let i = 0; i < wanted; i++) {
        const slot = slotNumbers[from + taken + i]!;
        this.#outgoing.prepare(i, base + slots.start[slot]!, slots.length[slot]! + head);
      }
      const sent = cSendmmsg(this.fd, this.#outgoing.headers, wanted, MSG_DONTWAIT);
      if (sent !== -1) {
        taken += sent;
        continue;
      }
      const reason = errno();
      if (reason === ERRNO.EAGAIN || reason === ERRNO.ENOBUFS) break;
      if (isGone(reason)) {
        taken = taken === 0 ? INTERFACE_GONE : taken;
        break;
      }
      if (reason === ERRNO.EINTR) continue;
      this.counters.refusedSent++;
      taken++;
    }
    return taken;
  }

  /** Frames the kernel has dropped because we did not read in time, since the socket was opened. */
  kernelDrops(): number {
    const length = new Uint8Array(Uint32Array.of(8).buffer);
    if (cGetsockopt(this.fd, SOL_PACKET, PACKET.statistics, this.#statistics, length) === 0) {
      // Reading the statistics sets them to zero.
      this.#kernelDrops += new DataView(this.#statistics.buffer).getUint32(4, true);
    }
    return this.#kernelDrops;
  }

  close(): void {
    if (this.#isOpen) closeDescriptor(this.fd);
    this.#isOpen = false;
  }

  #configure(interfaceIndex: number): void {
    const name = `interface ${interfaceIndex}`;
    const on = Int32Array.of(1);
    this.#set(SOL_PACKET, PACKET.ignoreOutgoing, on, name);
    this.#set(SOL_PACKET, PACKET.auxiliaryData, on, name);
    if (this.#head > 0) this.#set(SOL_PACKET, PACKET.vnetHeader, on, name);
    // The forced size passes net.core.rmem_max but needs rights outside our user namespace.
    const size = Int32Array.of(BUFFER_OCTETS);
    if (!this.#try(SO.receiveBufferForce, size)) this.#try(SO.receiveBuffer, size);
    if (!this.#try(SO.sendBufferForce, size)) this.#try(SO.sendBuffer, size);
    const address = new Uint8Array(20);
    const view = new DataView(address.buffer);
    view.setUint16(0, AF_PACKET, true);
    view.setUint16(2, EVERY_PROTOCOL, true);
    view.setInt32(4, interfaceIndex, true);
    check(cBind(this.fd, address, address.length), "bind", name);
    const membership = Int32Array.of(interfaceIndex, PACKET_MR_PROMISCUOUS, 0, 0);
    this.#set(SOL_PACKET, PACKET.addMembership, membership, name);
  }

  #set(level: number, option: number, value: Int32Array, name: string): void {
    const octets = new Uint8Array(value.buffer);
    check(cSetsockopt(this.fd, level, option, octets, octets.length), `setsockopt ${option}`, name);
  }

  #try(option: number, value: Int32Array): boolean {
    return cSetsockopt(this.fd, SOL_SOCKET, option, new Uint8Array(value.buffer), 4) === 0;
  }

  /**
   * Takes received frame `index` over as number `kept` of the result, or drops it; @returns new
   * count.
   */
  #accept(slots: Slots, slotNumbers: Int32Array, index: number, kept: number): number {
    if ((this.#incoming.flags(index) & MSG_TRUNC) !== 0) {
      this.counters.oversizedReceived++;
      return kept;
    }
    const slot = slotNumbers[index]!;
    slots.length[slot] = this.#incoming.length(index) - this.#head;
    if (this.#incoming.hasControl(index)) {
      const control = this.#incoming.control;
      const auxiliary = this.#incoming.controlData(index);
      const status = control.getUint32(auxiliary + AUXILIARY.status, true);
      const isUnsummed = (status & STATUS_CHECKSUM_NOT_READY) !== 0;
      if (isUnsummed && this.#head === 0) this.counters.withoutChecksum++;
      if ((status & STATUS_VLAN_VALID) !== 0) {
        const tag = control.getUint16(auxiliary + AUXILIARY.vlanTag, true);
        const isProtocolKnown = (status & STATUS_VLAN_PROTOCOL_VALID) !== 0;
        const protocol = isProtocolKnown
          ? control.getUint16(auxiliary + AUXILIARY.vlanProtocol, true)
          : ETHERTYPE_VLAN;
        putTagBack(slots, slot, protocol, tag, this.#head);
      }
    }
    slotNumbers[index] = slotNumbers[kept]!;
    slotNumbers[kept] = slot;
    return kept + 1;
  }

  #receiveFailure(): number {
    const reason = errno();
    if (reason === ERRNO.EAGAIN || reason === ERRNO.EINTR) return 0;
    // The interface going down is reported once; it may come back.
    if (reason === ERRNO.ENETDOWN) return 0;
    // A frame that a virtio-net header cannot describe; the kernel has dropped it.
    if (reason === ERRNO.EINVAL && this.#head > 0) {
      this.counters.undescribed++;
      return 0;
    }
    if (isGone(reason)) return INTERFACE_GONE;
    throw new V2Error(errnoName(reason), `recvmmsg on a packet socket: ${errnoText(reason)}`);
  }
}

function isGone(reason: number): boolean {
  return reason === ERRNO.ENODEV || reason === ERRNO.ENXIO || reason === ERRNO.EBADF;
}

function putTagBack(
  slots: Slots,
  slot: number,
  protocol: number,
  tag: number,
  headOctets: number,
): void {
  const from = slots.start[slot]!;
  const to = from - VLAN_TAG_OCTETS;
  slots.octets.copyWithin(to - headOctets, from - headOctets, from + ADDRESSES_OCTETS);
  if (headOctets > 0) countTag(slots.octets, to - headOctets);
  slots.octets[to + 12] = protocol >> 8;
  slots.octets[to + 13] = protocol;
  slots.octets[to + 14] = tag >> 8;
  slots.octets[to + 15] = tag;
  slots.start[slot] = to;
  slots.length[slot]! += VLAN_TAG_OCTETS;
}

/** The places that a virtio_net_hdr names count from the start of the frame, tag included. */
function countTag(octets: Uint8Array, header: number): void {
  if ((octets[header]! & VNET_NEEDS_CHECKSUM) === 0) return;
  for (const field of [VNET_HEADER_LENGTH_AT, VNET_CHECKSUM_START_AT]) {
    const at = header + field;
    const moved = (octets[at]! | (octets[at + 1]! << 8)) + VLAN_TAG_OCTETS;
    octets[at] = moved;
    octets[at + 1] = moved >> 8;
  }
}
