/** Rings and meshes of real switches, ours and Debian's, with a station at each. */
import { existsSync } from "node:fs";
import { connect } from "node:net";
import { BpduView, isBpduAddress } from "../../src/wire/index.ts";
import { framed, type Running, until, Workshop } from "./vde-peers.ts";

/** Broadcast of a station with a number of its own. */
const NUMBER_AT = 14;
const EVERY_MS = 20;

export type Make = "v2" | "debian";

interface SwitchProcess {
  readonly make: Make;
  readonly directory: string;
  readonly running: Running;
}

/** A station on a switch: what it heard is read from its plug's output. */
export class StationProcess {
  readonly running: Running;
  readonly id: number;
  /** BPDUs heard, in order. */
  readonly bpdus: Uint8Array[] = [];
  /** Copies by number of the broadcast. */
  readonly heard = new Map<number, number>();
  #rest = Buffer.alloc(0);

  constructor(running: Running, id: number) {
    this.running = running;
    this.id = id;
    running.child.stdout!.on("data", (octets: Buffer) => this.#take(octets));
  }

  send(frame: Uint8Array): void {
    this.running.child.stdin!.write(framed(frame));
  }

  /** A numbered broadcast. */
  broadcast(number: number): void {
    const frame = Buffer.alloc(60);
    frame.fill(255, 0, 6);
    frame.set([2, 0, 0, 0, 1, this.id, 0x88, 0xb5], 6);
    frame.writeUInt32BE(number, NUMBER_AT);
    this.send(frame);
  }

  #take(octets: Buffer): void {
    let rest = Buffer.concat([this.#rest, octets]);
    while (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE(0)) {
      const length = rest.readUInt16BE(0);
      this.#frame(rest.subarray(2, 2 + length));
      rest = rest.subarray(2 + length);
    }
    this.#rest = rest;
  }

  #frame(frame: Buffer): void {
    if (isBpduAddress(frame, 0)) this.bpdus.push(new Uint8Array(frame));
    else if (frame.readUInt16BE(12) === 0x88b5) {
      const number = frame.readUInt32BE(NUMBER_AT);
      this.heard.set(number, (this.heard.get(number) ?? 0) + 1);
    }
  }
}

/** Switches, cables and stations that end with `close`. */
export class Ring {
  readonly shop = new Workshop();
  readonly switches: SwitchProcess[] = [];
  readonly stations: StationProcess[] = [];
  #broadcasts = 0;

  /** Starts switches with the spanning tree on; the first has the best priority. */
  async start(makes: readonly Make[]): Promise<void> {
    for (const [i, make] of makes.entries()) {
      const directory = this.shop.path(`s${i}`);
      const words = ["-s", directory, "-F", "--macaddr", `02:00:00:00:00:0${i}`];
      words.push("--priority", String(0x1000 * (i + 1)));
      words.push("-M", this.consolePath(i));
      const running =
        make === "debian"
          ? this.shop.start("vde_switch", words)
          : this.shop.v2("vde_switch", ...words, "--json", "--ready-fd=1");
      this.switches.push({ make, directory, running });
    }
    for (const { make, directory, running } of this.switches) {
      const isReady = () => make === "debian" || running.output().length > 0;
      await until(() => (isReady() && existsSync(`${directory}/ctl`)) || hasEnded(running));
      if (hasEnded(running)) throw new Error(`a switch ended: ${running.errors()}`);
    }
  }

  /** A cable between two switches, by number, in these ports or in any. */
  cable(a: number, b: number, make: Make, ports?: readonly [number, number]): Running {
    const [from, to] = [this.#place(a, ports?.[0]), this.#place(b, ports?.[1])];
    return make === "v2" ? this.shop.v2("plug", from, to) : this.shop.start("vde_plug", [from, to]);
  }

  /** A station at a switch. */
  station(index: number, port?: number): StationProcess {
    const plug = this.shop.start("vde_plug", [this.#place(index, port)]);
    const station = new StationProcess(plug, this.stations.length);
    this.stations.push(station);
    return station;
  }

  /** Until a switch uses so many ports. */
  async connectedPorts(index: number, ports: number): Promise<void> {
    while ((await this.treeOf(index)).ports !== ports) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Broadcasts of stations until one round is heard by all others of them. @returns ms it took. */
  async connected(group: readonly StationProcess[] = this.stations): Promise<number> {
    const startMs = performance.now();
    const rounds: number[] = [];
    const send = () => rounds.push(this.round(group));
    send();
    const timer = setInterval(send, EVERY_MS);
    try {
      await until(() => rounds.some((first) => missed(group, first) === 0));
    } finally {
      clearInterval(timer);
    }
    return performance.now() - startMs;
  }

  /**
   * Rounds until two in a row were heard by everybody. @returns the most copies that one station
   * heard of one broadcast of them.
   */
  async copies(group: readonly StationProcess[] = this.stations): Promise<number> {
    const first = this.#broadcasts;
    await this.connected(group);
    // What still circles of the first is driven past every station by the second.
    await this.connected(group);
    return Math.max(
      ...group.flatMap(({ heard }) =>
        Array.from({ length: this.#broadcasts - first }, (_, i) => heard.get(first + i) ?? 0),
      ),
    );
  }

  /** One broadcast of each station. @returns the number of the first. */
  round(group: readonly StationProcess[] = this.stations): number {
    const first = this.#broadcasts;
    for (const station of group) station.broadcast(this.#broadcasts++);
    return first;
  }

  /** Most copies of any broadcast so far. */
  mostCopies(): number {
    return Math.max(0, ...this.stations.flatMap(({ heard }) => [...heard.values()]));
  }

  /** What a command says on the console of a switch. */
  console(index: number, command: string): Promise<string> {
    return new Promise((resolve, reject) => {
      let text = "";
      const socket = connect(this.consolePath(index));
      socket.setEncoding("utf8");
      socket.on("error", reject);
      socket.on("data", (octets: string) => {
        text += octets;
        const prompts = text.split("vde$ ").length - 1;
        if (prompts === 1 && !text.includes("\n10")) socket.write(`${command}\n`);
        if (prompts >= 2) socket.end();
      });
      socket.on("close", () => resolve(text));
    });
  }

  /** Root that a switch believes in, as 16 hexadecimal digits, and how many ports it uses. */
  async treeOf(index: number): Promise<{ readonly root: string; readonly ports: number }> {
    const { make, running } = this.switches[index]!;
    if (make === "debian") {
      const text = await this.console(index, "fstp/print 0");
      const root = (/\+\+ root ([0-9a-f:]{23})/.exec(text)?.[1] ?? text).replaceAll(":", "");
      return { root, ports: text.split("-- Port").length - 1 };
    }
    const before = running.output().length;
    running.child.kill("SIGUSR2");
    await until(() => running.output().subarray(before).includes("\n"));
    const line = running.output().subarray(before).toString();
    const { fstp } = JSON.parse(line) as { fstp: { trees: { root: string; ports: unknown[] }[] } };
    const tree = fstp.trees[0];
    return { root: tree?.root ?? "", ports: tree?.ports.length ?? 0 };
  }

  async close(): Promise<void> {
    await this.shop.close();
  }

  /** Management socket of a switch. */
  consolePath(index: number): string {
    return this.shop.path(`m${index}`);
  }

  /** @param port undefined: any. */
  #place(index: number, port: number | undefined): string {
    const { directory } = this.switches[index]!;
    return port === undefined ? `vde://${directory}` : `vde://${directory}[${port}]`;
  }
}

/** Pairs of stations of a group and broadcasts of a round that were not heard. */
function missed(group: readonly StationProcess[], first: number): number {
  let count = 0;
  for (const [to, { heard }] of group.entries()) {
    for (const from of group.keys()) if (from !== to && !heard.has(first + from)) count++;
  }
  return count;
}

function hasEnded({ child }: Running): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** The flags of a recorded BPDU. */
export function flagsOf(frame: Uint8Array): number {
  return BpduView.over(frame)?.flags ?? -1;
}
