/** A switch of ours that is told things on its console, with Debian's plugs as stations. */
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { MgmtClient } from "./console-peers.ts";
import { managedSwitch } from "./vde-consoles.ts";
import { framed, type Running, until, Workshop } from "./vde-peers.ts";

/** A frame from a station to another (0: all), with a tag if one is given. */
export function frame(from: number, to: number, length: number, tag?: number): Buffer {
  const target = to === 0 ? [255, 255, 255, 255, 255, 255] : [2, 0, 0, 0, 0, to];
  const header = tag === undefined ? [] : [0x81, 0, tag >>> 8, tag & 0xff];
  const head = Buffer.from([...target, 2, 0, 0, 0, 0, from, ...header, 0x88, 0xb5]);
  return Buffer.concat([head, Buffer.alloc(length - head.length, from)]);
}

/** A switch with a console and stations at its ports. */
export class Lan {
  readonly shop: Workshop;
  readonly directory: string;
  readonly console: string;
  readonly running: Running;
  readonly #client: MgmtClient;
  readonly #plugs = new Map<number, Running>();

  private constructor(
    shop: Workshop,
    made: { directory: string; console: string; running: Running },
    client: MgmtClient,
  ) {
    this.shop = shop;
    this.directory = made.directory;
    this.console = made.console;
    this.running = made.running;
    this.#client = client;
  }

  static async start(t: TestContext): Promise<Lan> {
    const shop = new Workshop(t);
    const made = await managedSwitch(shop, "ours");
    const { client } = await MgmtClient.open(made.console);
    t.after(() => client.close());
    return new Lan(shop, made, client);
  }

  /** Gives commands that have to succeed. @returns the last reply. */
  async tell(...commands: string[]): Promise<string> {
    let reply = "";
    for (const command of commands) {
      reply = await this.#client.ask(command);
      assert.match(reply, /^1000 Success/m, `${command}: ${reply}`);
    }
    return reply;
  }

  async refuse(command: string, result: RegExp): Promise<void> {
    assert.match(await this.#client.ask(command), result, command);
  }

  /** Plugs Debian's plug into a port; its station has the port's number. */
  async plug(port: number): Promise<void> {
    const words = ["--port", String(port), this.directory];
    this.#plugs.set(port, this.shop.start("vde_plug", words));
    await this.shows("port/print", new RegExp(`^Port 0*${port} [^\n]* ACTIVE[^]*?endpoint`, "m"));
  }

  send(port: number, octets: Uint8Array): void {
    this.#plugs.get(port)!.child.stdin!.write(framed(octets));
  }

  heard(port: number): Buffer {
    return this.#plugs.get(port)!.output();
  }

  /** The station of a port is stopped, as by ^Z. */
  stop(port: number): void {
    this.#plugs.get(port)!.child.kill("SIGSTOP");
  }

  goOn(port: number): void {
    this.#plugs.get(port)!.child.kill("SIGCONT");
  }

  async hears(port: number, octets: Buffer): Promise<void> {
    await until(() => this.heard(port).includes(framed(octets)));
  }

  /** Repeats a command until its reply is so. */
  async shows(command: string, wanted: RegExp): Promise<string> {
    for (;;) {
      const reply = await this.#client.ask(command);
      if (wanted.test(reply)) return reply;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}
