/** The same script of console commands on Debian's switch and on ours, and what each answers. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { connect, type Socket } from "node:net";
import { framed, until, V2, Workshop } from "./vde-peers.ts";

/** A line typed on the console, or something that happens beside it. */
export type Step =
  | string
  /** A client of Debian's plugs in. */
  | { readonly plug: string; readonly port: number }
  | { readonly unplug: string }
  /** A client sends a frame: hexadecimal, filled up to 60 octets. */
  | { readonly send: string; readonly frame: string }
  | { readonly file: string; readonly text: string }
  /** A file beside the switch: its mode, and what is in it, without times. */
  | { readonly show: string }
  /** Octets as they are, not a line. */
  | { readonly raw: string };

export interface Reply {
  readonly step: string;
  readonly text: string;
}

const PROMPT = "\nvde$ ";

/** One connection to a management socket. */
export class MgmtClient {
  readonly #socket: Socket;
  #heard = "";
  #isClosed = false;

  private constructor(path: string) {
    this.#socket = connect(path);
    this.#socket.on("data", (octets: Buffer) => {
      this.#heard += octets.toString("latin1");
    });
    this.#socket.on("close", () => {
      this.#isClosed = true;
    });
    this.#socket.on("error", () => undefined);
  }

  /** Connects to a switch that may not listen yet. @returns the session and its greeting. */
  static async open(path: string): Promise<{ client: MgmtClient; greeting: string }> {
    for (;;) {
      await until(() => existsSync(path));
      const client = new MgmtClient(path);
      const greeting = await client.reply();
      if (greeting !== "") return { client, greeting };
    }
  }

  /** Everything up to the next prompt, or up to the end. */
  async reply(): Promise<string> {
    await until(() => this.#isClosed || this.#heard.endsWith(PROMPT));
    const text = this.#heard;
    this.#heard = "";
    return text;
  }

  async ask(line: string): Promise<string> {
    this.#socket.write(`${line}\n`, "latin1");
    return await this.reply();
  }

  write(octets: string): void {
    this.#socket.write(octets, "latin1");
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** Which switch a script runs on. */
export type Whose = "debian" | "ours";

/** Runs a script in a new switch. Processes, addresses and times are masked in the replies. */
export async function transcript(
  whose: Whose,
  script: readonly Step[],
  options: readonly string[] = [],
): Promise<Reply[]> {
  const shop = new Workshop();
  const run = new Run(shop);
  try {
    return await run.play(whose, script, options);
  } finally {
    run.end();
    await shop.close();
  }
}

class Run {
  readonly #shop: Workshop;
  readonly #clients = new Map<string, ChildProcess>();

  constructor(shop: Workshop) {
    this.#shop = shop;
  }

  async play(whose: Whose, script: readonly Step[], options: readonly string[]): Promise<Reply[]> {
    const place = this.#shop.place;
    const words = ["-s", `${place}/lan`, "-M", `${place}/mgmt`, ...options];
    if (whose === "debian") this.#shop.start("vde_switch", words);
    else this.#shop.start(process.execPath, [V2, "vde_switch", ...words]);
    const { client, greeting } = await MgmtClient.open(`${place}/mgmt`);
    const { client: watcher } = await MgmtClient.open(`${place}/mgmt`);
    const replies = [{ step: "(greeting)", text: greeting }];
    for (const step of script) {
      const name = typeof step === "string" ? step : JSON.stringify(step);
      const text = await this.#step(step, client, watcher);
      replies.push({ step: name, text: mask(text.replaceAll(place, "PLACE")) });
    }
    client.close();
    watcher.close();
    return replies;
  }

  end(): void {
    for (const child of this.#clients.values()) child.kill("SIGKILL");
  }

  async #step(step: Step, client: MgmtClient, watcher: MgmtClient): Promise<string> {
    if (typeof step === "string") return await client.ask(await this.#fill(step, watcher));
    if ("raw" in step) {
      client.write(step.raw);
      return await client.reply();
    }
    if ("file" in step) {
      writeFileSync(this.#shop.path(step.file), step.text.replaceAll("PLACE", this.#shop.place));
      return "";
    }
    if ("show" in step) return show(this.#shop.path(step.show));
    if ("plug" in step) await this.#plug(step.plug, step.port, watcher);
    else if ("unplug" in step) {
      this.#clients.get(step.unplug)!.kill("SIGTERM");
      await untilAsync(async () => !(await watcher.ask("port/print")).includes(` ${step.unplug} `));
    } else await this.#send(step.send, step.frame, watcher);
    // An empty line: what happened until now comes before its prompt.
    return await client.ask("");
  }

  /** PLACE is the directory of this run, ME who runs it, ID(name) the endpoint of a client. */
  async #fill(line: string, watcher: MgmtClient): Promise<string> {
    const name = /ID\((\w+)\)/.exec(line)?.[1];
    const filled = line.replaceAll("PLACE", this.#shop.place).replace("ME", userInfo().username);
    if (name === undefined) return filled;
    const ports = await watcher.ask("port/print");
    const id = new RegExp(`endpoint ID (\\d+) module unix prog   : ${name} `).exec(ports)![1]!;
    return filled.replace(/ID\(\w+\)/, String(Number(id)));
  }

  async #plug(name: string, port: number, watcher: MgmtClient): Promise<void> {
    const wanted = port === 0 ? [] : ["--port", String(port)];
    const words = ["-D", name, ...wanted, this.#shop.path("lan")];
    const child = spawn("vde_plug", words, { stdio: ["pipe", "ignore", "ignore"] });
    child.stdin.on("error", () => undefined);
    this.#clients.set(name, child);
    await untilAsync(async () => (await watcher.ask("port/print")).includes(` ${name} `));
  }

  /** Sends a frame and waits until the counters of some port have it. */
  async #send(name: string, hex: string, watcher: MgmtClient): Promise<void> {
    const frame = Buffer.from(hex.padEnd(120, "0"), "hex");
    const before = received(await watcher.ask("port/allprint"));
    this.#clients.get(name)!.stdin!.write(framed(frame));
    await untilAsync(async () => received(await watcher.ask("port/allprint")) > before);
  }
}

/** A capture in hexadecimal with its times zeroed, or the lines of a log without their dates. */
function show(path: string): string {
  const octets = readFileSync(path);
  const mode = (statSync(path).mode & 0o777).toString(8);
  const isCapture = octets.length === 0 || octets[0] === 0xd4;
  if (!isCapture) {
    const lines = octets.toString().replace(/^[A-Z][a-z]{2} [ \d]\d [\d:]{8}/gm, "DATE");
    return `${mode}\n${lines}`;
  }
  for (let at = 24; at < octets.length; at += 16 + octets.readUInt32LE(at + 8)) {
    octets.fill(0, at, at + 8);
  }
  return `${mode}\n${octets.toString("hex")}`;
}

function received(ports: string): number {
  return [...ports.matchAll(/ IN: {2}pkts +(\d+)/g)].reduce((sum, [, n]) => sum + Number(n), 0);
}

async function untilAsync(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 10));
}

/** Takes out what differs from one run to the next. */
export function mask(text: string): string {
  return text
    .replace(/pid[ =]\d+/g, "pid P")
    .replace(/00:ff(:[\da-f]{2}){4}/g, "MAC")
    .replace(/uptime \d+/g, "uptime U")
    .replace(/FD +\d+/g, "FD N")
    .replace(/endpoint ID \d{4}/g, "endpoint ID N")
    .replace(/user=\w+/g, "user=U")
    .replace(/Current User: (?!NONE)\w+/g, "Current User: U")
    .replace(/ age \d+ /g, " age A ");
}
