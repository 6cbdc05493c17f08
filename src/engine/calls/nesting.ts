/**
 * The worker's part in a view inside a view. A process of a view asks for a session (the private
 * call VUSESSION); the launcher at its other end makes its namespaces itself, and what the kernel
 * lets only the supervisor do is done here: the mounts of the new view become a copy of its
 * maker's that is not locked, so that the new view may also unmount what it has inherited.
 */
import { closeSync, fstatSync } from "node:fs";
import { ERRNO } from "../../base/index.ts";
import {
  closeDescriptor,
  copyMountTree,
  mount,
  nameSenders,
  type CallRequest,
  replaceMountTree,
  type SessionMessage,
  sessionPair,
  type Standpoint,
} from "../../sys/index.ts";
import { MS } from "../../viewos/index.ts";
import type { Ground, GroundId, Grounds } from "./grounds.ts";
import { textOf } from "../launch/launch-steps.ts";
import type { FdStore } from "../server/fd-store.ts";
import type { KeptGround } from "../server/kept-views.ts";
import type { Answer } from "./answer.ts";

const SLASH = Uint8Array.of(0x2f);

/** A launcher has made the namespaces of a view and waits for the supervisor's consent. */
export interface NestedEvent {
  readonly kind: "nested";
  readonly session: number;
  readonly pid: number;
  readonly ground: GroundId;
  readonly parent: GroundId | undefined;
  /** Identity of the view's user namespace. */
  readonly userNamespace: bigint;
  /** `ViewFacts` as JSON. */
  readonly facts: string;
  readonly standardError: number;
  /** Undefined: nothing of it is in the store. */
  readonly kept: KeptGround | undefined;
}

/** Where a session was asked for. */
interface Origin {
  /** The view of the process that asked. */
  readonly parent: GroundId | undefined;
  /** Its mount namespace, which need not be the view's own. */
  readonly mounts: number;
}

/** Sessions that views have asked for. */
export class Nesting {
  readonly #grounds: Grounds;
  readonly #standpoint: Standpoint;
  readonly #store: FdStore | undefined;
  readonly #origins = new Map<number, Origin>();

  /** @param store keeps the namespaces, if there is one */
  constructor(grounds: Grounds, standpoint: Standpoint, store: FdStore | undefined) {
    this.#grounds = grounds;
    this.#standpoint = standpoint;
    this.#store = store;
  }

  /**
   * Answers VUSESSION.
   * @param fallback the view that counts as the maker when the caller is in no view inside it and
   *   has a mount namespace of its own.
   * @returns the answer, and our end of the session.
   */
  open(
    request: CallRequest,
    fallback: GroundId | undefined,
  ): { readonly answer: Answer; readonly session: number | undefined } {
    const mounts = this.#standpoint.openProc(`${request.pid}/ns/mnt`);
    if (mounts === -1) return { answer: { kind: "done", errno: ERRNO.ESRCH }, session: undefined };
    const parent = this.#grounds.of(request.pid, this.#standpoint)?.mnt ?? fallback;
    const [session, theirs] = sessionPair();
    nameSenders(session);
    this.#origins.set(session, { parent, mounts });
    return { answer: { kind: "descriptor", descriptor: theirs, closeOnExec: true }, session };
  }

  /** Takes in a view whose namespaces a launcher sends; undefined when the message is not one. */
  admit(session: number, message: SessionMessage): NestedEvent | undefined {
    const [mounts, names, user, standardError] = message.descriptors;
    const origin = this.#origins.get(session);
    if (
      origin === undefined ||
      message.pid === undefined ||
      mounts === undefined ||
      names === undefined ||
      user === undefined ||
      standardError === undefined
    ) {
      for (const descriptor of message.descriptors) closeDescriptor(descriptor);
      return undefined;
    }
    const userNamespace = fstatSync(user, { bigint: true }).ino;
    closeDescriptor(user);
    const numbers = this.#store?.keep([mounts, names]);
    const ground = this.#grounds.add(mounts, names, {
      user: userNamespace,
      parent: origin.parent,
    });
    this.#unlock(origin, ground);
    return {
      kind: "nested",
      session,
      pid: message.pid,
      ground: ground.mnt,
      parent: origin.parent,
      userNamespace,
      facts: textOf(message),
      standardError,
      kept: numbers && { mounts: numbers[0]!, names: numbers[1]! },
    };
  }

  /** Was the session asked for in a view? */
  has(session: number): boolean {
    return this.#origins.has(session);
  }

  /** The session has ended. */
  close(session: number): void {
    const origin = this.#origins.get(session);
    if (origin !== undefined) closeSync(origin.mounts);
    this.#origins.delete(session);
  }

  /**
   * Mounts that a namespace gets from one of another user namespace are locked in it. Those of a
   * copy that a thread of the outer one brings along are not.
   */
  #unlock(origin: Origin, ground: Ground): void {
    this.#grounds.visit(origin.mounts);
    const tree = copyMountTree();
    try {
      this.#grounds.stand(ground);
      replaceMountTree(tree);
      // What the maker shares it shares with itself.
      mount(null, SLASH, null, MS.REC | MS.SLAVE, null);
    } finally {
      closeDescriptor(tree);
    }
  }
}
