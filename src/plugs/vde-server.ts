/**
 * The control plane of a switch: the directory with its `ctl` socket, the handshake of each client,
 * and the life of its cable. The cable lives exactly as long as the stream it was asked for on.
 * Frames are carried by another thread (switch-thread.ts); nothing here is on their path.
 */
import { randomBytes } from "node:crypto";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { V2Error } from "../base/index.ts";
import { bridgeId, parseMac, printMac } from "../wire/index.ts";
import { Accounts } from "../sys/index.ts";
import {
  emitReply,
  type FstpOptions,
  type FstpStatus,
  type ModelEndpoint,
  PORTS_DEFAULT,
  PRIORITY_DEFAULT,
  RequestReader,
  type SwitchManagement,
  SwitchModel,
  type TapScope,
} from "../vde/index.ts";
import { plugDataSocket, type DataSocket } from "./data-socket.ts";
import type { CaptureFile } from "./capture-file.ts";
import { ThreadCaptures } from "./thread-captures.ts";
import { ThreadImpairments } from "./thread-impairments.ts";
import { ThreadMirrors } from "./thread-mirrors.ts";
import {
  claimDirectory,
  modes,
  releaseDirectory,
  secureControl,
  type SwitchDirectory,
} from "./switch-directory.ts";
import type { SwitchCounters } from "./switch-counters.ts";
import { ThreadManagement } from "./switch-management.ts";
import { SwitchPlugins } from "./switch-plugins.ts";
import { SwitchThread } from "./switch-thread.ts";
import { printIdentity, ThreadFstp } from "./thread-fstp.ts";

/** Of the capture for plugins; those of the console count from 1. */
const PLUGIN_CAPTURE = 0;
/** Clients that may be in the middle of their handshake; more are refused. */
const HANDSHAKES_MAX = 256;
/** Module of clients' cables in listings. */
const CLIENT_MODULE = "unix prog";
const TABLE_SIZE_DEFAULT = 128;
/** Stations that fit into any table. */
const STATIONS_MIN = 4096;
/** How long a handshake may take. */
const HANDSHAKE_MS = 10_000;
/** Connections the kernel keeps waiting to be accepted. */
const BACKLOG = 128;

export interface VdeServerOptions extends SwitchDirectory {
  readonly ports?: number;
  readonly isHub?: boolean;
  /** A hub that repeats datagrams of any form, not only Ethernet frames. */
  readonly isBus?: boolean;
  /** Size of the table of stations (128), as the console shows it; 4096 stations always fit. */
  readonly tableSize?: number;
  /** Address of the switch, "00:ff:…" (00:ff and four octets by chance). */
  readonly mac?: string;
  /** Priority in the spanning tree (0x8000). */
  readonly priority?: number;
  /** Where its console listens (ConsoleServer), for listings. */
  readonly managementSocket?: { readonly path: string; readonly mode: number };
  /** Where plugins are looked for by name (~/.vde2/plugins). */
  readonly pluginFolder?: string;
  /**
   * Frames are copied to these from the beginning: everything that enters the switch, or both
   * directions of a port. They are closed with the switch.
   */
  readonly captures?: readonly { readonly file: CaptureFile; readonly port?: number }[];
  /** Told about refused clients, one line each. */
  readonly log?: (line: string) => void;
}

/** Why clients were refused, counted. */
export interface Refusals {
  badMagic: number;
  badVersion: number;
  badType: number;
  badPath: number;
  /** Wanted port out of range or owned by another user, or no port left. */
  noPort: number;
  /** Too many handshakes at once, or one too slow. */
  busy: number;
}

/** One plugged cable, for listings; no user: its name is abstract, or it is our own plug. */
export type Cable = ModelEndpoint;

export interface VdeServerStatus {
  readonly directory: string;
  readonly cables: readonly Cable[];
  readonly refusals: Readonly<Refusals>;
  readonly counters: SwitchCounters;
  /** Its spanning tree. */
  readonly fstp: FstpStatus | undefined;
}

type Identity = Required<Pick<FstpOptions, "address" | "priority">>;

/** Who the switch is in the spanning tree. */
function identityOf({ mac, priority }: VdeServerOptions): Identity {
  const byChance = Uint8Array.of(0, 0xff, ...randomBytes(4));
  const address = mac === undefined ? byChance : parseMac(mac);
  if (address === undefined) {
    throw new V2Error("BAD_ADDRESS", `'${mac}' is no MAC address`, {
      remedy: "Write six octets: 02:00:00:00:00:01.",
    });
  }
  return { address, priority: priority ?? PRIORITY_DEFAULT };
}

interface Client {
  readonly socket: Socket;
  readonly reader: RequestReader;
  state: "asking" | "plugging" | "plugged" | "gone";
  cable: Cable | undefined;
  data: DataSocket | undefined;
  port: number;
}

/** A running switch: `VdeServer.start`, `plug`, `status`, `close`. */
export class VdeServer {
  readonly refusals: Refusals = {
    badMagic: 0,
    badVersion: 0,
    badType: 0,
    badPath: 0,
    noPort: 0,
    busy: 0,
  };
  readonly #options: VdeServerOptions;
  readonly #thread: SwitchThread;
  readonly #model: SwitchModel;
  readonly #management: ThreadManagement;
  readonly #captures: ThreadCaptures;
  readonly #plugins: SwitchPlugins;
  readonly #clients = new Set<Client>();
  readonly #server: Server;
  /** Removals under way; a shutdown waits for them. */
  readonly #removals = new Set<Promise<void>>();
  #nextId = 1;
  #closing: Promise<void> | undefined;

  private constructor(options: VdeServerOptions, identity: Identity, thread: SwitchThread) {
    this.#options = options;
    this.#thread = thread;
    const { address, priority } = identity;
    const mac = printMac(address);
    const accounts = new Accounts();
    this.#model = new SwitchModel({
      ports: options.ports ?? PORTS_DEFAULT,
      isHub: options.isHub ?? options.isBus ?? false,
      bridgeId: printIdentity(bridgeId(priority, address)),
      isMember: (user, group) => accounts.isMember(user, group),
      changed: (change) => void thread.change(change),
      event: (event) => this.#management.tell(event),
    });
    const startMs = performance.now();
    const log = (line: string): void => this.#log(line);
    this.#captures = new ThreadCaptures({ model: this.#model, thread, log });
    this.#plugins = new SwitchPlugins({
      ...(options.pluginFolder === undefined ? {} : { folder: options.pluginFolder }),
      management: () => this.#management,
      watch: async (memory) => {
        if (memory === null) await thread.endCapture(PLUGIN_CAPTURE);
        else await thread.capture({ id: PLUGIN_CAPTURE, memory, scope: { direction: "both" } });
      },
      port: (port) => this.#management.portUser(port),
      untaggedVlan: (port) => this.#model.vlans.untaggedVlan(port),
      tell: (event) => this.#management.tell(event),
      isHeard: (category) => this.#management.isHeard(category),
      log,
    });
    this.#management = new ThreadManagement({
      model: this.#model,
      thread,
      fstp: new ThreadFstp({
        model: this.#model,
        thread,
        mac,
        priority,
        event: (event) => this.#management.tell(event),
      }),
      mirrors: new ThreadMirrors(this.#model, thread),
      captures: this.#captures,
      impairments: new ThreadImpairments(this.#model, thread),
      plugins: this.#plugins,
      info: () => ({
        pid: process.pid,
        mac,
        uptimeSeconds: Math.floor((performance.now() - startMs) / 1000),
        management: options.managementSocket,
        directory: options.directory,
        mode: modes(options).mode,
      }),
      closeEndpoint: (id) => this.#closeEndpoint(id),
      tableSize: options.tableSize ?? TABLE_SIZE_DEFAULT,
      log,
    });
    this.#server = createServer((socket) => this.#accepted(socket));
    thread.onEndClosed = (id) => this.#endClosed(id);
  }

  /**
   * Makes the directory and serves it. Resolves when clients can connect.
   * @throws V2Error EADDRINUSE: another switch lives there; ENAMETOOLONG: names in it would not
   *   fit.
   */
  static async start(options: VdeServerOptions): Promise<VdeServer> {
    const claimed = claimDirectory(options);
    const resolved = { ...options, directory: claimed.directory };
    const identity = identityOf(options);
    const server = new VdeServer(
      resolved,
      identity,
      new SwitchThread({
        ...(options.ports === undefined ? {} : { ports: options.ports }),
        ...(options.isHub === undefined ? {} : { isHub: options.isHub }),
        ...(options.isBus === undefined ? {} : { isBus: options.isBus }),
        fstp: identity,
        entriesMax: Math.max(options.tableSize ?? 0, STATIONS_MIN),
      }),
    );
    try {
      for (const { file, port } of options.captures ?? []) {
        const scope: TapScope =
          port === undefined ? { direction: "in" } : { port, direction: "both" };
        await server.#captures.adopt(file, scope);
      }
      await server.#listen();
      secureControl(resolved);
    } catch (error) {
      await server.close();
      throw error;
    }
    return server;
  }

  /** The directory's real path. */
  get directory(): string {
    return this.#options.directory;
  }

  /** Plugs an end of our own, by name, into a port (0: any). @returns the port. */
  async plug(vnl: string, wantedPort = 0): Promise<number> {
    const port = this.#model.allocate(wantedPort, undefined);
    if (port === undefined) throw new V2Error("NO_PORT", `no free port for '${vnl}'`);
    const id = this.#nextId++;
    const [scheme, name] = vnl.split("://", 2) as [string, string | undefined];
    const isTap = scheme === "tap" && name !== undefined;
    const endpoint = {
      id,
      port,
      user: undefined,
      module: isTap ? "tuntap" : name === undefined ? "vde" : scheme,
      description: isTap ? name : vnl,
    };
    this.#model.plug(endpoint);
    try {
      await this.#thread.add(id, port, { kind: "vnl", vnl });
    } catch (error) {
      this.#model.unplug(id);
      throw error;
    }
    this.#management.plugged(id);
    return port;
  }

  /** The interface of its console. */
  get management(): SwitchManagement {
    return this.#management;
  }

  async status(): Promise<VdeServerStatus> {
    return {
      directory: this.directory,
      cables: this.#model.endpoints(),
      refusals: this.refusals,
      counters: await this.#thread.counters(),
      fstp: (await this.#thread.fstp({ kind: "status" }))?.status,
    };
  }

  /** Unplugs everybody, unlinks every name, ends the packet thread; idempotent. */
  async close(): Promise<void> {
    this.#closing ??= this.#close();
    await this.#closing;
  }

  async #close(): Promise<void> {
    this.#server.close();
    for (const client of this.#clients) this.#leave(client);
    await Promise.allSettled(this.#removals);
    await this.#plugins.close();
    await this.#thread.stop();
    await this.#captures.close();
    releaseDirectory(this.directory);
  }

  async #listen(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ path: join(this.directory, "ctl"), backlog: BACKLOG }, () => {
        this.#server.off("error", reject);
        // Running out of descriptors must not end the switch: the client is closed, others go on.
        this.#server.on("error", (error) => this.#log(`ctl: ${error.message}`));
        resolve();
      });
    });
  }

  #accepted(socket: Socket): void {
    const client: Client = {
      socket,
      reader: new RequestReader(),
      state: "asking",
      cable: undefined,
      data: undefined,
      port: -1,
    };
    const asking = [...this.#clients].filter((c) => c.state === "asking").length;
    if (this.#closing !== undefined || asking >= HANDSHAKES_MAX) {
      this.refusals.busy++;
      socket.destroy();
      return;
    }
    this.#clients.add(client);
    socket.setTimeout(HANDSHAKE_MS, () => {
      if (client.state === "asking") this.#refuse(client, "busy");
    });
    socket.on("data", (octets) => this.#heard(client, octets));
    socket.on("error", () => undefined);
    socket.on("close", () => this.#leave(client));
  }

  #heard(client: Client, octets: Uint8Array): void {
    client.reader.push(octets);
    const { refusal, request } = client.reader;
    if (client.state === "asking" && refusal !== undefined) this.#refuse(client, refusal);
    else if (client.state === "asking" && request !== undefined) {
      client.state = "plugging";
      client.socket.setTimeout(0);
      void this.#plugIn(client);
    } else if (client.cable !== undefined) {
      this.#model.describe(client.cable.id, client.reader.description);
    }
  }

  /** Everything between a request and its answer. */
  async #plugIn(client: Client): Promise<void> {
    const request = client.reader.request!;
    const id = this.#nextId++;
    let data: DataSocket;
    try {
      data = plugDataSocket(request, this.#options, client.reader.asksOffload, (user) => {
        const port = this.#model.allocate(request.wantedPort, user);
        if (port !== undefined) client.port = port;
        return port;
      });
    } catch (error) {
      if (!(error instanceof V2Error)) throw error;
      this.#refuse(client, refusalOf(error), error.message);
      return;
    }
    const cable: Cable = {
      id,
      port: client.port,
      user: data.user,
      module: CLIENT_MODULE,
      description: client.reader.description,
    };
    client.cable = cable;
    client.data = data;
    this.#model.plug(cable);
    const { description } = cable;
    const { fd, offload } = data;
    try {
      await this.#thread.add(id, cable.port, { kind: "datagram", fd, description, offload });
    } catch (error) {
      this.#refuse(client, "busy", (error as Error).message);
    }
    // The client may have gone while the packet thread was asked.
    if (client.socket.destroyed) {
      this.#unplug(client);
      return;
    }
    client.state = "plugged";
    this.#management.plugged(id);
    client.socket.write(emitReply(data.path, offload));
  }

  #refuse(client: Client, why: keyof Refusals, message?: string): void {
    this.refusals[why]++;
    this.#log(`client refused: ${message ?? why}`);
    client.socket.destroy();
  }

  /** The stream ended: so does the cable. */
  #leave(client: Client): void {
    if (client.state === "gone") return;
    const wasPlugging = client.state === "plugging" && client.cable !== undefined;
    if (!client.socket.destroyed) client.socket.destroy();
    // A cable on its way in is taken out by #plugIn when the packet thread has it.
    if (wasPlugging && this.#closing === undefined) return;
    this.#unplug(client);
  }

  #unplug(client: Client): void {
    if (client.state === "gone") return;
    client.state = "gone";
    this.#clients.delete(client);
    const { cable, data } = client;
    if (cable === undefined || data === undefined) return;
    data.unlink();
    this.#pull(cable.id);
  }

  /** Takes a cable out of the model and the packet thread. */
  #pull(id: number): void {
    this.#model.unplug(id);
    const removal = this.#thread.remove(id).then((counters) => {
      this.#management.unplugged(id, counters);
      this.#removals.delete(removal);
    });
    this.#removals.add(removal);
  }

  /** The console pulls a cable. */
  #closeEndpoint(id: number): void {
    const client = [...this.#clients].find(({ cable }) => cable?.id === id);
    if (client === undefined) this.#pull(id);
    else this.#leave(client);
  }

  /** The packet thread found the client's data socket gone, or an end of our own closed. */
  #endClosed(id: number): void {
    for (const client of this.#clients) {
      if (client.cable?.id === id) {
        this.#leave(client);
        return;
      }
    }
    const cable = this.#model.endpoint(id);
    if (cable === undefined) return;
    this.#log(`'${cable.description}' closed`);
    this.#pull(id);
  }

  #log(line: string): void {
    this.#options.log?.(line);
  }
}

function refusalOf(error: V2Error): keyof Refusals {
  if (error.code === "NO_PORT") return "noPort";
  return error.code === "BAD_PATH" ? "badPath" : "busy";
}
