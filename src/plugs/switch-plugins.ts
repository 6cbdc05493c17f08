/**
 * The plugins of a running switch: loads them, hands them frames, runs their commands, and keeps
 * their mistakes to themselves. What a plugin throws is counted and logged; the switch goes on.
 */
import { ERRNO, V2Error } from "../base/index.ts";
import {
  MENU_SYNTAX,
  type PluginAnswer,
  type PluginCounters,
  type PluginFrame,
  type PluginHost,
  type PluginInfo,
  type PluginManagement,
  type PluginPort,
  type SwitchEvent,
  type SwitchManagement,
  type SwitchPlugin,
} from "../vde/index.ts";
import { tagControlAt } from "../wire/index.ts";
import type { CaptureRecord } from "./capture-ring.ts";
import { PluginFrames } from "./plugin-frames.ts";
import { checkPlugin, findPlugin, type FoundPlugin, pluginFolder } from "./plugin-loader.ts";

/** Plugins of one switch. */
const PLUGINS_MAX = 64;
const VLAN_MASK = 0xfff;
/** How long a plugin may take to start, and to end. */
const PATIENCE_MS = 10_000;

export interface SwitchPluginsOptions {
  /** The folder of the user's plugins (~/.vde2/plugins). */
  readonly folder?: string;
  /** How long a plugin may take to start, and to end (10 s). */
  readonly patienceMs?: number;
  readonly management: () => SwitchManagement;
  /** Tells the packet thread where to copy frames to; null: no longer. */
  readonly watch: (memory: SharedArrayBuffer | null) => Promise<void>;
  readonly port: (port: number) => PluginPort;
  /** VLAN of a port's frames without a tag. */
  readonly untaggedVlan: (port: number) => number;
  readonly tell: (event: SwitchEvent) => void;
  readonly isHeard: (category: string) => boolean;
  readonly log: (line: string) => void;
}

/** A plugin that is loaded, or being loaded. */
interface Loaded {
  readonly key: string;
  plugin: SwitchPlugin | undefined;
  info: PluginInfo | undefined;
  /** undefined: it did not say. */
  isWatching: boolean | undefined;
  failures: number;
  isClosed: boolean;
}

/** What the console, and whoever embeds a switch, ask of its plugins. */
export class SwitchPlugins implements PluginManagement {
  readonly #options: SwitchPluginsOptions;
  readonly #frames: PluginFrames;
  #loaded: readonly Loaded[] = [];
  #infos: readonly PluginInfo[] = [];
  #failures = 0;
  /** Loading, unloading and watching happen one after the other. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: SwitchPluginsOptions) {
    this.#options = options;
    const { watch } = options;
    this.#frames = new PluginFrames({ watch, seen: (record) => this.#seen(record) });
  }

  list(): readonly PluginInfo[] {
    return this.#infos;
  }

  counters(): PluginCounters {
    return { framesDropped: this.#frames.dropped, failures: this.#failures };
  }

  /**
   * ENOENT: there is none; EEXIST: loaded already; EINVAL: it is none, or failed to start; ENOSPC:
   * too many.
   */
  async add(name: string): Promise<number> {
    return await this.#inTurn(async () => await this.#add(name));
  }

  async remove(name: string): Promise<number> {
    return await this.#inTurn(async () => {
      const found = this.#loaded.find(({ info }) => info!.name.startsWith(name));
      if (found === undefined) return ERRNO.ENOENT;
      this.settle();
      this.#set(this.#loaded.filter((loaded) => loaded !== found));
      await this.#close(found);
      return 0;
    });
  }

  async run(path: string, argument: string): Promise<PluginAnswer> {
    this.settle();
    const lines: string[] = [];
    for (const loaded of this.#loaded) {
      const command = loaded.plugin!.commands.find((known) => known.path === path);
      if (command?.run === undefined) continue;
      const print = (text: unknown): void => {
        // A dot alone would end the data block.
        for (const line of String(text).split("\n")) lines.push(line === "." ? ". " : line);
      };
      try {
        const error = (await command.run(argument, print)) ?? 0;
        const isErrno = Number.isInteger(error) && error >= 0;
        return { error: isErrno ? error : ERRNO.EIO, lines };
      } catch (error) {
        this.#failed(loaded, error);
        return { error: ERRNO.EIO, lines };
      }
    }
    return { error: ERRNO.ENOSYS, lines };
  }

  /** Hands on the frames that were copied until now. */
  settle(): void {
    this.#frames.drainAll();
  }

  /** Unloads all; idempotent. */
  async close(): Promise<void> {
    await this.#inTurn(async () => {
      const all = this.#loaded;
      await this.#frames.setOn(false);
      this.#set([]);
      for (const loaded of all) await this.#close(loaded);
    });
  }

  async #add(name: string): Promise<number> {
    const found = findPlugin(name, this.#options.folder ?? pluginFolder());
    if (found === undefined) return ERRNO.ENOENT;
    const { key } = found;
    if (this.#loaded.some((loaded) => loaded.key === key)) return ERRNO.EEXIST;
    if (this.#loaded.length >= PLUGINS_MAX) return ERRNO.ENOSPC;
    const loaded: Loaded = {
      key,
      plugin: undefined,
      info: undefined,
      isWatching: undefined,
      failures: 0,
      isClosed: false,
    };
    const making = this.#make(found, loaded);
    try {
      const plugin = await this.#within(making, "start");
      loaded.plugin = plugin;
      loaded.info = infoOf(plugin);
    } catch (error) {
      loaded.isClosed = true;
      this.#failed(loaded, error);
      // One that comes too late is not left open.
      making.then(async (late) => await late.close?.()).catch(() => undefined);
      return ERRNO.EINVAL;
    }
    if (this.#infos.some((known) => known.name === loaded.info!.name)) {
      await this.#close(loaded);
      return ERRNO.EEXIST;
    }
    loaded.isWatching ??= true;
    this.#set([...this.#loaded, loaded]);
    await this.#watch();
    return 0;
  }

  async #make(found: FoundPlugin, loaded: Loaded): Promise<SwitchPlugin> {
    const made = await found.load();
    const plugin = typeof made === "function" ? await made(this.#hostFor(loaded)) : made;
    checkPlugin(plugin);
    return plugin;
  }

  /** Waits, but not for ever. @throws V2Error ETIMEDOUT. */
  async #within<Result>(step: Promise<Result>, what: string): Promise<Result> {
    const patienceMs = this.#options.patienceMs ?? PATIENCE_MS;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(new V2Error("ETIMEDOUT", `it took more than ${patienceMs} ms to ${what}`));
      }, patienceMs);
    });
    try {
      return await Promise.race([step, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  #set(loaded: readonly Loaded[]): void {
    this.#loaded = loaded;
    this.#infos = loaded.map(({ info }) => info!);
  }

  async #close(loaded: Loaded): Promise<void> {
    await this.#watch();
    loaded.isClosed = true;
    try {
      await this.#within(Promise.resolve(loaded.plugin!.close?.()), "end");
    } catch (error) {
      this.#failed(loaded, error);
    }
  }

  /** Frames are copied while some plugin wants them. */
  async #watch(): Promise<void> {
    const isOn = this.#loaded.some(
      ({ plugin, isWatching }) => isWatching === true && plugin!.frame !== undefined,
    );
    await this.#frames.setOn(isOn);
  }

  #hostFor(loaded: Loaded): PluginHost {
    const { management, tell, isHeard, port, log } = this.#options;
    return {
      management: management(),
      port,
      isHeard,
      log: (line) => log(`plugin '${loaded.info?.name ?? loaded.key}': ${line}`),
      tell: (category, text) => {
        if (loaded.isClosed) return;
        if (loaded.plugin?.categories?.some(({ path }) => path === category) !== true) {
          throw new V2Error("BAD_CATEGORY", `'${category}' is no category of the plugin`, {
            remedy: "Name it in the plugin's categories.",
          });
        }
        tell({ category, text: text.replaceAll("\n", " ") });
      },
      watchFrames: async (isOn) => {
        // What was copied until now belongs to the time before.
        this.settle();
        loaded.isWatching = isOn;
        // While it is being made it has no turn of its own; #add watches afterwards.
        if (loaded.plugin === undefined || loaded.isClosed) return;
        await this.#inTurn(async () => await this.#watch());
      },
    };
  }

  #seen({ port, direction, octets, timeMs }: CaptureRecord): void {
    const control = tagControlAt(octets, 0, octets.length);
    const tag = control < 0 ? 0 : control & VLAN_MASK;
    const frame: PluginFrame = {
      direction: direction === "inbound" ? "in" : "out",
      port,
      // A tag with VLAN 0 tells only a priority.
      vlan: tag === 0 ? this.#options.untaggedVlan(port) : tag,
      octets,
      timeMs,
    };
    for (const loaded of this.#loaded) {
      if (loaded.isWatching !== true || loaded.plugin!.frame === undefined) continue;
      try {
        loaded.plugin!.frame(frame);
      } catch (error) {
        this.#failed(loaded, error);
      }
    }
  }

  /** Counts; the first failure of a plugin is logged. */
  #failed(loaded: Loaded, error: unknown): void {
    this.#failures++;
    if (loaded.failures++ > 0) return;
    const text = error instanceof Error ? error.message : String(error);
    this.#options.log(`plugin '${loaded.info?.name ?? loaded.key}' failed: ${text}`);
  }

  async #inTurn<Result>(step: () => Promise<Result>): Promise<Result> {
    const mine = this.#turn.then(step);
    this.#turn = mine.catch(() => undefined);
    return await mine;
  }
}

function infoOf({ name, help, commands, categories }: SwitchPlugin): PluginInfo {
  return {
    name,
    help,
    commands: commands.map(({ path, syntax, help, hasData, run }) => ({
      path,
      syntax: syntax ?? (run === undefined ? MENU_SYNTAX : ""),
      help,
      hasData: hasData === true,
      isMenu: run === undefined,
    })),
    categories: categories ?? [],
  };
}
