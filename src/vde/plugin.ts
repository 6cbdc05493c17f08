/**
 * What a plugin of a switch is: an object with a name, commands for the console, categories of
 * events, and a handler that sees frames. It runs beside the packet thread, never on its path: a
 * slow plugin loses copies of frames, not frames. docs/plugins.md shows how to write one.
 */
import type { EventCategory } from "./events.ts";
import type { Errno, SwitchManagement } from "./management.ts";

/** A frame at a port, in a copy that the plugin may keep. */
export interface PluginFrame {
  /** "in": it came from a cable of the port; "out": it left the switch through it. */
  readonly direction: "in" | "out";
  readonly port: number;
  /** VLAN by its tag, or that of the port's untagged frames (4095: none). */
  readonly vlan: number;
  /** As on the cable, with its tag if it has one. */
  readonly octets: Uint8Array;
  /** Milliseconds since 1970-01-01 UTC, with fractions. */
  readonly timeMs: number;
}

/** Who sits at a port. */
export interface PluginPort {
  /** Owner of its cables, by name, or by number when the number has no name. */
  readonly user: string | undefined;
  /** What the newest cable calls itself. */
  readonly description: string;
}

/** A word that a plugin adds to the console. */
export interface PluginCommandHandler {
  /** "mine/count"; the plugin's name in front keeps it from meeting others. */
  readonly path: string;
  /** Its arguments in the help (""). */
  readonly syntax?: string;
  readonly help: string;
  /** Its lines stand in a data block; without it what it prints is not sent. */
  readonly hasData?: boolean;
  /**
   * Does it. @returns nothing or 0: success; otherwise the errno to reply. What it throws is
   * replied as EIO. Left out: a heading of the help.
   */
  readonly run?: (
    argument: string,
    print: (line: string) => void,
  ) => Errno | undefined | void | Promise<Errno | undefined | void>;
}

/** A program loaded into a switch. */
export interface SwitchPlugin {
  /** Unique in a switch; `plugin/del` takes its beginning. */
  readonly name: string;
  readonly help: string;
  readonly commands: readonly PluginCommandHandler[];
  readonly categories?: readonly EventCategory[];
  /** Sees every frame at every port, while frames are watched. */
  readonly frame?: (frame: PluginFrame) => void;
  /** The plugin is unloaded, or the switch ends; frames seen before have been handed over. */
  readonly close?: () => void | Promise<void>;
}

/** The switch, as a plugin sees it. */
export interface PluginHost {
  /** All that the console can do. */
  readonly management: SwitchManagement;
  /**
   * Whether frames are copied for this plugin. A plugin with `frame` begins with yes, unless it
   * says no while it is made. Resolves when it is so.
   */
  readonly watchFrames: (isOn: boolean) => Promise<void>;
  /** Tells an event of one of the plugin's categories. @throws V2Error BAD_CATEGORY. */
  readonly tell: (category: string, text: string) => void;
  /** Whether somebody listens to this category now; saves the making of texts. */
  readonly isHeard: (category: string) => boolean;
  readonly port: (port: number) => PluginPort;
  /** A line for whoever runs the switch. */
  readonly log: (line: string) => void;
}

/** Makes a plugin for one switch; it may open files, and may fail. */
export type PluginMaker = (host: PluginHost) => SwitchPlugin | Promise<SwitchPlugin>;

/** What a file of a plugin exports. */
export interface PluginModule {
  readonly default: SwitchPlugin | PluginMaker;
}
