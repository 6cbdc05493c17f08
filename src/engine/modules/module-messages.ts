/**
 * What the three threads of a supervisor say about modules: the main thread inserts and removes,
 * the module thread runs handlers, the notify worker offers calls. Everything is cloned on its way.
 */
import type { MessagePort } from "node:worker_threads";
import type { Decision, ModuleSummary, OfferedCall } from "../../viewos/index.ts";
import type { ModuleList } from "./module-lists.ts";
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
  | {
      readonly id: number;
      readonly op: "remove";
      /** See `moduleId`. */
      readonly modules: readonly string[];
      /** Also while calls wait for them. */
      readonly isForced: boolean;
    }
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
  /** Which modules of the thread the caller's view has. */
  readonly modules: readonly string[];
}

/** Module thread to notify worker. */
export interface DecisionMessage {
  readonly sequence: number;
  readonly decision: Decision;
}

/** Main thread to notify worker. */
export type ModulesMessage =
  | {
      /** What all views have now. */
      readonly lists: readonly ModuleList[];
      /** Module threads that are new. Calls that waited for modules that are gone fail. */
      readonly threads: readonly { readonly home: number; readonly calls: MessagePort }[];
      /** Homes that are no more. */
      readonly ended: readonly number[];
    }
  | { readonly mount: ModuleMountReply };
