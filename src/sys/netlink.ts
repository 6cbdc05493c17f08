/**
 * Links, addresses and routes of the calling thread's network namespace through rtnetlink(7).
 * Requests are synchronous: the kernel has answered before send(2) returns, so nothing here waits.
 */
import {
  type Prefix,
  ERRNO,
  errnoName,
  errnoText,
  EXIT,
  printAddress,
  printMac,
  V2Error,
} from "../base/index.ts";
import { check, declare } from "./libc.ts";
import {
  CONTROL,
  FLAG,
  type Message,
  MessageWriter,
  parseAcknowledgement,
  parseAttributes,
  parseMessages,
  textOf,
  u32Of,
} from "./netlink-message.ts";
import { closeDescriptor } from "./session-socket.ts";

const AF = { unspecified: 0, inet: 2, netlink: 16, inet6: 10 } as const;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
/** rtnetlink message types (linux/rtnetlink.h). */
const RTM = {
  newLink: 16,
  deleteLink: 17,
  getLink: 18,
  newAddress: 20,
  getAddress: 22,
  newRoute: 24,
};
/** Attributes of a link (linux/if_link.h). */
const IFLA = {
  address: 1,
  name: 3,
  mtu: 4,
  txQueueLength: 13,
  linkInfo: 18,
  afSpec: 26,
  netnsFd: 28,
};
const IFLA_INFO = { kind: 1, data: 2 };
const VETH_INFO_PEER = 1;
const IFLA_INET6_ADDR_GEN_MODE = 8;
const ADDR_GEN_MODE_NONE = 1;
const IFA = { address: 1, local: 2, flags: 8 };
/** No duplicate address detection: an IPv6 address is usable at once. */
const IFA_F_NODAD = 2;
const RTA = { outputInterface: 4, gateway: 5 };
const ROUTE = { tableMain: 254, protocolBoot: 3, scopeUniverse: 0, scopeLink: 253, unicast: 1 };
const IFF_UP = 1;
const RECEIVE_OCTETS = 65_536;

const cSocket = declare<(family: number, type: number, protocol: number) => number>(
  "int socket(int family, int type, int protocol)",
);
const cSetsockopt = declare<
  (fd: number, level: number, option: number, value: Uint8Array, length: number) => number
>("int setsockopt(int fd, int level, int option, void *value, uint32_t length)");
const cSend = declare<(fd: number, octets: Uint8Array, length: number, flags: number) => number>(
  "long send(int fd, void *octets, size_t length, int flags)",
);
const cRecv = declare<(fd: number, octets: Uint8Array, length: number, flags: number) => number>(
  "long recv(int fd, void *octets, size_t length, int flags)",
);

/** One network interface as the kernel describes it. */
export interface Link {
  readonly index: number;
  readonly name: string;
  readonly isUp: boolean;
  readonly mtu: number;
  /** "02:…"; empty for a link without one. */
  readonly mac: string;
}

/** An address of an interface. */
export interface LinkAddress extends Prefix {
  readonly index: number;
  /** "10.77.0.2/24". */
  readonly text: string;
}

/** What a link is made with; what is missing the kernel chooses. */
export interface LinkSettings {
  readonly name: string;
  readonly mac?: Uint8Array;
  readonly mtu?: number;
  readonly txQueueLength?: number;
}

/**
 * A connection to the kernel's routing part, bound to the network namespace the thread was in when
 * it was opened; it may be used from another one later.
 */
export class Netlink {
  readonly #fd: number;
  readonly #buffer = new Uint8Array(RECEIVE_OCTETS);
  #sequence = 0;
  #isOpen = true;

  constructor() {
    this.#fd = check(cSocket(AF.netlink, SOCK_RAW_CLOEXEC, 0), "socket", "AF_NETLINK");
    const on = new Uint8Array(Int32Array.of(1).buffer);
    // Only niceties: short error messages with a sentence. Old kernels refuse them.
    cSetsockopt(this.#fd, SOL_NETLINK, NETLINK_CAP_ACK, on, 4);
    cSetsockopt(this.#fd, SOL_NETLINK, NETLINK_EXT_ACK, on, 4);
  }

  /** Makes a veth(4) pair: `near` here, `far` in the network namespace behind `farNamespaceFd`. */
  createVethPair(near: LinkSettings, far: LinkSettings, farNamespaceFd: number): void {
    const message = this.#request(RTM.newLink, FLAG.create | FLAG.exclusive).raw(linkHeader(0));
    putLinkSettings(message, near).nest(IFLA.linkInfo, (info) =>
      info
        .attribute(IFLA_INFO.kind, "veth")
        .nest(IFLA_INFO.data, (data) =>
          data.nest(VETH_INFO_PEER, (peer) =>
            putLinkSettings(peer.raw(linkHeader(0)), far).attribute(IFLA.netnsFd, farNamespaceFd),
          ),
        ),
    );
    this.#execute(message, `create veth ${near.name} - ${far.name}`);
  }

  /** Changes MAC, MTU or queue length of the link with this index. */
  configureLink(index: number, settings: LinkSettings): void {
    const message = this.#request(RTM.newLink, 0).raw(linkHeader(index));
    this.#execute(putLinkSettings(message, settings), `configure ${settings.name}`);
  }

  /** The link makes no IPv6 address of its own when it is set up: it is a cable, not a host. */
  withoutOwnAddress(index: number): void {
    const message = this.#request(RTM.newLink, 0)
      .raw(linkHeader(index))
      .nest(IFLA.afSpec, (families) =>
        families.nest(AF.inet6, (settings) =>
          settings.attribute(IFLA_INET6_ADDR_GEN_MODE, Uint8Array.of(ADDR_GEN_MODE_NONE)),
        ),
      );
    this.#execute(message, `set address mode of link ${index}`);
  }

  /** Sets the link up; its IPv6 link-local address follows when the kernel makes one. */
  setUp(index: number): void {
    this.#execute(
      this.#request(RTM.newLink, 0).raw(linkHeader(index, IFF_UP, IFF_UP)),
      `set link ${index} up`,
    );
  }

  /** Gives the link an address; an IPv6 address is usable at once (no duplicate detection). */
  addAddress(index: number, address: Prefix): void {
    const { address: octets, lengthBits } = address;
    const isV4 = octets.length === 4;
    const header = new Uint8Array(8);
    header.set([isV4 ? AF.inet : AF.inet6, lengthBits, 0, ROUTE.scopeUniverse]);
    new DataView(header.buffer).setUint32(4, index, true);
    const message = this.#request(RTM.newAddress, FLAG.create | FLAG.exclusive)
      .raw(header)
      .attribute(IFA.local, octets)
      .attribute(IFA.address, octets);
    if (!isV4) message.attribute(IFA.flags, IFA_F_NODAD);
    this.#execute(message, `add address ${printAddress(octets)}/${lengthBits}`);
  }

  /** Routes everything that has no better route through `gateway` on this link. */
  addDefaultRoute(index: number, gateway: Uint8Array): void {
    const family = gateway.length === 4 ? AF.inet : AF.inet6;
    const { tableMain, protocolBoot, scopeUniverse, unicast } = ROUTE;
    const header = new Uint8Array(12);
    header.set([family, 0, 0, 0, tableMain, protocolBoot, scopeUniverse, unicast]);
    const message = this.#request(RTM.newRoute, FLAG.create | FLAG.exclusive)
      .raw(header)
      .attribute(RTA.gateway, gateway)
      .attribute(RTA.outputInterface, index);
    this.#execute(message, `add default route through ${printAddress(gateway)}`);
  }

  /** Removes a link; of a veth pair both ends go. */
  deleteLink(index: number): void {
    this.#execute(this.#request(RTM.deleteLink, 0).raw(linkHeader(index)), `delete link ${index}`);
  }

  /** All links of the namespace. */
  links(): Link[] {
    const message = this.#request(RTM.getLink, FLAG.dump).raw(linkHeader(0));
    return this.#dump(message, "list links").flatMap(({ payload }) => {
      if (payload.length < 16) return [];
      const view = new DataView(payload.buffer, payload.byteOffset);
      const attributes = parseAttributes(payload, 16);
      const mac = attributes.get(IFLA.address);
      return {
        index: view.getInt32(4, true),
        name: textOf(attributes.get(IFLA.name) ?? new Uint8Array()),
        isUp: (view.getUint32(8, true) & IFF_UP) !== 0,
        mtu: u32Of(attributes.get(IFLA.mtu)) ?? 0,
        mac: mac?.length === 6 ? printMac(mac) : "",
      };
    });
  }

  /** The link of this name. @throws V2Error NO_INTERFACE. */
  link(name: string): Link {
    const all = this.links();
    const found = all.find((link) => link.name === name);
    if (found !== undefined) return found;
    throw new V2Error("NO_INTERFACE", `no network interface '${name}'`, {
      remedy: `this namespace has ${all.map((link) => link.name).join(", ")}`,
      exitCode: EXIT.notFound,
    });
  }

  /** All addresses of the namespace. */
  addresses(): LinkAddress[] {
    const message = this.#request(RTM.getAddress, FLAG.dump).raw(new Uint8Array(8));
    return this.#dump(message, "list addresses").flatMap(({ payload }) => {
      if (payload.length < 8) return [];
      const attributes = parseAttributes(payload, 8);
      const octets = attributes.get(IFA.local) ?? attributes.get(IFA.address);
      if (octets?.length !== 4 && octets?.length !== 16) return [];
      const lengthBits = payload[1]!;
      return {
        index: new DataView(payload.buffer, payload.byteOffset).getUint32(4, true),
        address: octets.slice(),
        lengthBits,
        text: `${printAddress(octets)}/${lengthBits}`,
      };
    });
  }

  close(): void {
    if (this.#isOpen) closeDescriptor(this.#fd);
    this.#isOpen = false;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #request(type: number, flags: number): MessageWriter {
    return new MessageWriter(type, flags | FLAG.request | FLAG.ack, ++this.#sequence);
  }

  #execute(message: MessageWriter, what: string): void {
    this.#send(message, what);
    for (;;) {
      for (const answer of this.#receive(what)) {
        if (answer.type === CONTROL.error) return checkAcknowledgement(answer, what);
      }
    }
  }

  #dump(message: MessageWriter, what: string): Message[] {
    this.#send(message, what);
    const found: Message[] = [];
    for (;;) {
      for (const answer of this.#receive(what)) {
        if (answer.type === CONTROL.done) return found;
        if (answer.type === CONTROL.error) checkAcknowledgement(answer, what);
        else found.push(answer);
      }
    }
  }

  #send(message: MessageWriter, what: string): void {
    const octets = message.finish();
    check(cSend(this.#fd, octets, octets.length, 0), "netlink send", what);
  }

  /** Messages of the present request; what was left of an earlier one is passed over. */
  #receive(what: string): Message[] {
    const length = check(cRecv(this.#fd, this.#buffer, RECEIVE_OCTETS, 0), "netlink recv", what);
    const messages = parseMessages(this.#buffer.slice(0, length));
    return messages.filter((message) => message.sequence === this.#sequence);
  }
}

/** struct ifinfomsg. */
function linkHeader(index: number, flags = 0, mask = 0): Uint8Array {
  const words = new Uint8Array(16);
  const view = new DataView(words.buffer);
  view.setInt32(4, index, true);
  view.setUint32(8, flags, true);
  view.setUint32(12, mask, true);
  return words;
}

function putLinkSettings(message: MessageWriter, settings: LinkSettings): MessageWriter {
  message.attribute(IFLA.name, settings.name);
  if (settings.mac !== undefined) message.attribute(IFLA.address, settings.mac);
  if (settings.mtu !== undefined) message.attribute(IFLA.mtu, settings.mtu);
  if (settings.txQueueLength !== undefined) {
    message.attribute(IFLA.txQueueLength, settings.txQueueLength);
  }
  return message;
}

function checkAcknowledgement(message: Message, what: string): void {
  const answer = parseAcknowledgement(message);
  if (answer === undefined || answer.errno === 0) return;
  const { errno, text } = answer;
  const sentence = text === undefined ? "" : ` (${text})`;
  const isForbidden = errno === ERRNO.EPERM;
  throw new V2Error(
    errnoName(errno),
    `${what}: ${errnoText(errno)}${sentence}`,
    isForbidden
      ? { remedy: "this needs CAP_NET_ADMIN in the network namespace", exitCode: EXIT.noPermission }
      : {},
  );
}
