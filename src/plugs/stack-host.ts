/** A stack on a cable, ready to use in Node: configuration in one line, sockets, event loop. */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { V2Error } from "../base/index.ts";
import {
  applyConf,
  DhcpClient,
  type Interface,
  parseConf,
  Sockets,
  Stack,
  type StackConf,
  type StackOptions,
} from "../lwipv6/index.ts";
import type { CableEnd } from "./end.ts";
import { openEnd } from "./registry.ts";
import { StackLoop } from "./stack-loop.ts";
import { StackRunner } from "./stack-runner.ts";

/** Longest wait for addresses to become usable. */
const READY_MS = 15_000;
/** Longest wait for data that is under way when a host is closed. */
const FLUSH_MS = 10_000;
const POLL_MS = 10;

export interface StackHostOptions {
  /** Used instead of `vnl=`; it is the host's from now on. */
  readonly end?: CableEnd;
  /** What its card's address is made from, unless `mac=` or `fqdn=` says it. */
  readonly name?: string;
  readonly stack?: Partial<StackOptions>;
}

/** One host; disposing of it closes its sockets and its cable. */
export class StackHost implements AsyncDisposable {
  readonly stack: Stack;
  readonly sockets: Sockets;
  readonly conf: StackConf;
  /** The interface on the cable; undefined without one. */
  readonly interface: Interface | undefined;
  /** While `dhcp` is asked for. */
  readonly dhcp: DhcpClient | undefined;
  /** Resolves when the cable's other side has gone. */
  readonly gone: Promise<void>;
  readonly #loop: StackLoop;

  private constructor(
    stack: Stack,
    conf: StackConf,
    runner: StackRunner,
    end?: CableEnd,
    name?: string,
  ) {
    this.stack = stack;
    this.conf = conf;
    this.sockets = new Sockets(stack);
    this.gone = new Promise((resolve) => {
      runner.onGone = () => resolve();
    });
    this.interface =
      end === undefined
        ? undefined
        : runner.plug(stack, end, {
            name: conf.interfaceName,
            macName: conf.fqdn ?? name ?? `${process.pid} ${randomBytes(4).toString("hex")}`,
            ...(conf.mac === undefined ? {} : { mac: conf.mac }),
            ...(conf.mtuOctets === undefined ? {} : { mtuOctets: conf.mtuOctets }),
          });
    try {
      if (this.interface !== undefined) applyConf(stack, this.interface, conf);
    } catch (error) {
      runner.close();
      throw error;
    }
    this.dhcp =
      conf.hasDhcp && this.interface !== undefined
        ? new DhcpClient(stack, this.interface)
        : undefined;
    runner.add(stack);
    this.#loop = new StackLoop(runner);
    stack.onStep = () => this.#loop.refresh();
  }

  /**
   * Opens the cable and brings the stack up.
   * @param text as `parseConf` reads it. @throws V2Error STACK_CONF, or why the cable cannot be
   *   opened.
   */
  static async open(text: string, options: StackHostOptions = {}): Promise<StackHost> {
    const conf = parseConf(text);
    if (conf.hasDhcp6) {
      throw new V2Error("STACK_CONF", "stack configuration: there is no DHCPv6 client yet", {
        remedy: "Write auto6 for addresses from routers.",
      });
    }
    const end =
      options.end ??
      (conf.vnl === undefined
        ? undefined
        : openEnd(conf.vnl, { description: options.name ?? "stack", offload: true }));
    const runner = new StackRunner();
    const stack = new Stack({
      secret: randomBytes(16),
      clock: runner.clock,
      ...options.stack,
    });
    const host = new StackHost(stack, conf, runner, end, options.name);
    try {
      await host.#ready();
      return host;
    } catch (error) {
      await host.close();
      throw error;
    }
  }

  /** Closes all sockets, waits until what they have sent has arrived, and lets the cable go. */
  async close(): Promise<void> {
    this.sockets.closeAll();
    this.dhcp?.release();
    const untilMs = performance.now() + FLUSH_MS;
    const isSending = (): boolean =>
      this.stack.tcp.connections.some((one) => one.sendLength > 0 || !one.board.isEmpty);
    while (isSending() && performance.now() < untilMs) await sleep(POLL_MS);
    this.stack.onStep = undefined;
    await this.#loop.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Waits until no address is tentative, and autoconfiguration has brought one. */
  async #ready(): Promise<void> {
    const { stack, conf } = this;
    const untilMs = performance.now() + READY_MS;
    const isReady = (): boolean => {
      const own = stack.addresses.all.filter((entry) => entry.interface === this.interface);
      if (own.some((entry) => entry.state === "tentative")) return false;
      if (this.dhcp !== undefined && this.dhcp.lease === undefined) return false;
      return !conf.hasSlaac || own.some((entry) => entry.origin === "slaac");
    };
    while (!isReady()) {
      if (performance.now() > untilMs) {
        const asked = this.dhcp === undefined ? "router" : "DHCP server";
        throw new V2Error("STACK_NO_ADDRESS", `no ${asked} has answered`, {
          remedy: "Give an address with ip=, or see that one is given on this network.",
        });
      }
      await sleep(POLL_MS);
    }
  }
}
