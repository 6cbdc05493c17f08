/**
 * What the main thread of a supervisor and the thread that takes its guests' calls tell each other.
 */
import type { MessagePort } from "node:worker_threads";
import type { AdoptedView, ViewFacts } from "../launch/launch-steps.ts";
import type { OutsideConfig } from "../launch/launch-outside.ts";
import type { KeptGround } from "../server/kept-views.ts";
import type { ModuleMountEvent } from "../modules/module-mounts.ts";
import type { DeputyCall } from "./deputies.ts";
import type { GroundId } from "./grounds.ts";
import type { NestedEvent } from "./nesting.ts";
import type { ViewTraps } from "./view-traps.ts";

export interface NotifyWorkerData {
  /** The first launcher's session; undefined: the view exists, see `adopted`. */
  readonly session: number | undefined;
  /** A view whose first launcher is done already. */
  readonly adopted: AdoptedView | undefined;
  /** Listening socket for further sessions; undefined: the view has no name to be entered by. */
  readonly listening: number | undefined;
  /** `WorkerCommand`s come here; closed: end. */
  readonly commands: number;
  /** The view has no namespaces (rung C). */
  readonly outside: OutsideConfig | undefined;
  /** Memory of the count of control connections. */
  readonly connections: SharedArrayBuffer;
  /** Memory of the views' settings. */
  readonly settings: SharedArrayBuffer;
  /** Where the debug log goes. */
  readonly debug: number;
  /** To the main thread, and the bell that tells of messages on it and of modules' decisions. */
  readonly modules: { readonly control: MessagePort; readonly bell: number };
  readonly traps: ViewTraps;
  /** Memory of the threads that answer path calls. */
  readonly relief: SharedArrayBuffer;
  /** Descriptor that a trace is written to. */
  readonly traceTo: number;
  /** Memory of the store; undefined: there is none, nobody would take over. */
  readonly store?: SharedArrayBuffer | undefined;
  /** What else a server that is gone has left of the view. */
  readonly more?: MoreOfView | undefined;
}

/** What a view has besides its first listener and namespaces. */
export interface MoreOfView {
  readonly listeners: readonly (Pick<AdoptedView, "listener" | "notes"> & {
    readonly ground: GroundId;
  })[];
  /** Of the views inside. */
  readonly grounds: readonly (Pick<AdoptedView, "mounts" | "names"> & {
    readonly within: { readonly user: bigint; readonly parent: GroundId | undefined };
  })[];
}

export type NotifyWorkerEvent =
  /** A guest waits on `session` for its cables in the network namespace of `pid`. */
  | {
      readonly kind: "network";
      readonly session: number;
      readonly pid: number;
      readonly standardError: number | undefined;
      readonly facts: ViewFacts;
    }
  /** The process wants the view's control socket at the other end of this one. */
  | {
      readonly kind: "control";
      readonly descriptor: number;
      readonly pid: number;
      /** The view that it is in; undefined: it is outside. */
      readonly ground: GroundId | undefined;
    }
  /** A guest with that pid has installed its filter. */
  | {
      readonly kind: "entered";
      readonly pid: number;
      readonly session: number;
      readonly ground: GroundId;
      readonly userNamespace: bigint;
      readonly facts: ViewFacts;
      /** What the store has of a view that is new. */
      readonly kept?: KeptGround | undefined;
    }
  | NestedEvent
  | ModuleMountEvent
  /** The view on that ground, which "nested" announced, is complete. */
  | { readonly kind: "born"; readonly ground: GroundId }
  /** The process that was watched for the view on that ground has ended. */
  | { readonly kind: "ended"; readonly ground: GroundId }
  /** A call for a deputy, who answers it. */
  | { readonly kind: "deputy"; readonly call: DeputyCall }
  /** Modules that were inserted in these views have not decided a call in time. */
  | { readonly kind: "late"; readonly homes: readonly number[] }
  /** No process of the view is left. */
  | { readonly kind: "empty" };

/** What the main thread tells the worker, as JSON; descriptors then belong to the worker. */
export type WorkerCommand =
  /** Further sessions come on that listening socket, until its other user closes it. */
  | { readonly kind: "listen"; readonly descriptor: number; readonly ground: string }
  /** Tell when the process behind this pidfd ends; the view on the ground stands by it. */
  | { readonly kind: "watch"; readonly descriptor: number; readonly ground: string }
  /** The view on that ground is gone. */
  | { readonly kind: "forget"; readonly ground: string };
