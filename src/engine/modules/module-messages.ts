/**
 * What the three threads of a supervisor say about modules: the main thread inserts and removes,
 * the module thread runs handlers, the notify worker offers calls. Everything is cloned on its way.
 */
import type { MessagePort } from "node:worker_threads";
import type { Decision, ModuleSummary, OfferedCall } from "../../viewos/index.ts";
import type { Insertion } from "./module-loader.ts";
import type { ModuleMountReply } from "./module-mounts.ts";

/** What the module thread is started with. */
export interface ModuleWorkerData {
  /** To the notify worker. */
  readonly calls: MessagePort;
  /** Rung after every message on `calls`. */
  readonly bell: number;
  /** Asks the main thread for the programs whose modules are objects. */
  readonly programs: MessagePort;
  /** Number of the insertion whose handler runs, 0 for none; shared with the main thread. */
  readonly running: Int32Array;
}

/** Main thread to module thread. */
export type ModuleRequest =
  | { readonly id: number; readonly op: "insert"; readonly insertion: Insertion }
  | { readonly id: number; readonly op: "remove"; readonly names: readonly string[] }
  | { readonly id: number; readonly op: "ping" };

/** An error on its way between threads. */
export interface SentError {
  readonly code: string;
  readonly message: string;
  readonly remedy: string | undefined;
}

/** Module thread to main thread. */
export type ModuleEvent =
  | { readonly kind: "done"; readonly id: number; readonly summaries: readonly ModuleSummary[] }
  | { readonly kind: "refused"; readonly id: number; readonly error: SentError }
  | { readonly kind: "log"; readonly line: string };

/** Notify worker to module thread. */
export interface CallMessage {
  readonly sequence: number;
  readonly call: OfferedCall;
}

/** Module thread to notify worker. */
export interface DecisionMessage {
  readonly sequence: number;
  readonly decision: Decision;
}

/** Main thread to notify worker. */
export type ModulesMessage =
  /** Which modules there are now, newest first. */
  | {
      readonly summaries: readonly ModuleSummary[];
      /** The module thread is a new one. Calls that waited for modules that are gone fail. */
      readonly calls?: MessagePort;
    }
  | { readonly mount: ModuleMountReply };
