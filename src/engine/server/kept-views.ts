/**
 * What a server writes down of its views for the one that takes over: a file of JSON for each view,
 * and the notes of each listener (sys/call-notes.ts), both in the fd-store with the descriptors
 * that they name. A file comes last of its view and goes first, so one that is there is whole.
 */
import { readFileSync } from "node:fs";
import {
  CallNotes,
  closeDescriptor,
  closeFd,
  memoryFile,
  NotifyListener,
  SharedMemory,
} from "../../sys/index.ts";
import type { AliasTable } from "../control/view-settings.ts";
import type { GroundId } from "../calls/grounds.ts";
import type { AdoptedView, ViewFacts } from "../launch/launch-steps.ts";
import { STORE_CALLS } from "../launch/store-program.ts";
import type { ViewNet } from "../launch/view-net.ts";
import type { FdStore } from "./fd-store.ts";
import { forgetView } from "./run-directory.ts";

/** Changes whenever a server could misunderstand what an older one has written. */
const VERSION = 1;
const FILE = { view: "v2-view", calls: "v2-calls", place: "v2-place" } as const;
/**
 * In front of the notes of a listener: version, its numbers in the store, the ground of its view.
 */
const HEAD = { version: 0, listener: 4, notes: 8, ground: 16 } as const;

/** What is kept of a view. Grounds and the user namespace are numbers of 64 bits, as text. */
export interface KeptView {
  readonly ground: string;
  readonly userNamespace: string;
  readonly id: number;
  /** Process number of the server that has written this. */
  readonly server: number;
  /** Number of the view that it was made in. */
  readonly parent: number | undefined;
  /** The view around all others of its supervisor. */
  readonly outermost: string;
  readonly name: string | undefined;
  readonly pid: number;
  readonly isBound: boolean;
  readonly net: readonly ViewNet[];
  readonly aliases: AliasTable;
  /** Descriptors: the namespaces, and where it is entered by its name. */
  readonly mounts: number;
  readonly names: number;
  readonly listening: number | undefined;
}

/** Numbers in the store of a view's namespaces, and of its file when that is written. */
export interface KeptGround {
  readonly mounts: number;
  readonly names: number;
  readonly file?: number;
}

/** A listener and its notes. */
export interface KeptListener {
  readonly listener: number;
  readonly notes: number;
  readonly ground: GroundId;
  /** Nothing has ever been taken from it. */
  readonly isQuiet: boolean;
}

/** Keeps a further listener of a view. @returns its notes; undefined: the store is full */
export function keepListener(
  store: FdStore,
  ground: GroundId,
  listener: number,
): number | undefined {
  const numbers = store.reserve(2);
  if (numbers === undefined) return undefined;
  const notes = makeNotes(ground, numbers[0]!, numbers[1]!);
  store.put(numbers, [listener, notes]);
  return notes;
}

/** Keeps an outermost view that begins: its listener, its namespaces, its file. */
export function keepNewView(
  store: FdStore,
  { listener, mounts, names }: AdoptedView,
  known: Pick<KeptView, "ground" | "userNamespace" | "pid"> & { readonly facts: ViewFacts },
): { readonly notes: number; readonly kept: KeptGround } | undefined {
  const numbers = store.reserve(STORE_CALLS);
  if (numbers === undefined) return undefined;
  const kept = { mounts: numbers[2]!, names: numbers[3]!, file: numbers[4]! };
  const notes = makeNotes(BigInt(known.ground), numbers[0]!, numbers[1]!);
  const { facts, ...identity } = known;
  const file = makeFile(FILE.view, {
    ...identity,
    id: 1,
    server: process.pid,
    name: facts.name,
    net: facts.net ?? [],
    isBound: false,
    aliases: {},
    outermost: known.ground,
    mounts: kept.mounts,
    names: kept.names,
  });
  store.put(numbers, [listener, notes, mounts, names, file]);
  closeDescriptor(file);
  return { notes, kept };
}

function makeNotes(ground: GroundId, listener: number, notes: number): number {
  const { memory } = CallNotes.make(FILE.calls);
  const { view, descriptor } = memory;
  view.setUint32(HEAD.version, VERSION, true);
  view.setUint32(HEAD.listener, listener, true);
  view.setUint32(HEAD.notes, notes, true);
  view.setBigUint64(HEAD.ground, ground, true);
  memory.unmap();
  return descriptor;
}

function makeFile(name: string, content: object): number {
  const text = JSON.stringify({ version: VERSION, ...content });
  return memoryFile(name, new TextEncoder().encode(text));
}

/** The listener has ended. @param notes its memory */
export function dropListener(store: FdStore, { view }: SharedMemory): void {
  store.drop([view.getUint32(HEAD.notes, true), view.getUint32(HEAD.listener, true)]);
}

/** Closes the descriptors of a view that is over. */
export function closeAdopted(view: AdoptedView, store: FdStore | undefined): void {
  const { listener, mounts, names, notes } = view;
  for (const descriptor of [listener, mounts, names]) closeDescriptor(descriptor);
  if (notes === undefined) return;
  const memory = new SharedMemory(notes);
  if (store !== undefined) dropListener(store, memory);
  memory.close();
}

/** A listener, and where its calls are noted, if they are. */
export function notifyListener(listener: number, notes: number | undefined): NotifyListener {
  if (notes === undefined) return new NotifyListener(listener);
  return new NotifyListener(listener, new CallNotes(new SharedMemory(notes)));
}

/** A file with what is to be known of a view. */
export class ViewFile {
  readonly #store: FdStore;
  readonly #number: number;
  readonly #ground: KeptGround;
  #listening: number | undefined;

  private constructor(store: FdStore, number: number, ground: KeptGround, listening?: number) {
    this.#store = store;
    this.#number = number;
    this.#ground = ground;
    this.#listening = listening;
  }

  /** That of a new view, not written yet; undefined: the store is full. */
  static make(store: FdStore, ground: KeptGround): ViewFile | undefined {
    const number = ground.file ?? store.reserve(1)?.[0];
    return number === undefined ? undefined : new ViewFile(store, number, ground);
  }

  /** That of a view that is taken over. */
  static of(store: FdStore, number: number, view: KeptView): ViewFile {
    return new ViewFile(store, number, view, view.listening);
  }

  /** Keeps a listening socket, by which the view is entered. */
  listen(descriptor: number): void {
    this.#listening = this.#store.keep([descriptor])?.[0];
  }

  /** Writes what the view is now. */
  write(view: Omit<KeptView, "mounts" | "names" | "listening">): void {
    const { mounts, names } = this.#ground;
    const whole: KeptView = { ...view, mounts, names, listening: this.#listening };
    const file = makeFile(FILE.view, whole);
    this.#store.put([this.#number], [file]);
    closeDescriptor(file);
  }

  /** The view was over before it was taken over. */
  forget({ mounts, names, listening, name }: KeptView): void {
    this.drop();
    for (const descriptor of [mounts, names, listening]) closeFd(descriptor ?? -1);
    if (name !== undefined) forgetView(name);
  }

  /** The view is over. */
  drop(): void {
    const { mounts, names } = this.#ground;
    const socket = this.#listening === undefined ? [] : [this.#listening];
    this.#store.drop([this.#number, mounts, names, ...socket]);
  }
}

/** Keeps the socket where the server is found. */
export function keepPlace(store: FdStore, listening: number): void {
  const numbers = store.reserve(2);
  if (numbers === undefined) return;
  const file = makeFile(FILE.place, { listening: numbers[0] });
  store.put(numbers, [listening, file]);
  closeDescriptor(file);
}

/** What a server that takes over has found. */
export interface KeptThings {
  /** Where the server is found. */
  readonly place: number | undefined;
  /** By the number of the file, each before the views in it. */
  readonly views: ReadonlyMap<number, KeptView>;
  readonly listeners: readonly KeptListener[];
}

/** Finds what the last server has kept; what is not whole is closed. */
export function takeKept(store: FdStore): KeptThings {
  const inherited = store.inherited();
  const used = new Set<number>();
  const isThere = (numbers: readonly (number | undefined)[]): boolean =>
    numbers.every((number) => number === undefined || inherited.has(number));
  const use = (numbers: readonly (number | undefined)[]): void => {
    for (const number of numbers) if (number !== undefined) used.add(number);
  };
  const views: [number, KeptView][] = [];
  let place: number | undefined;
  for (const number of filesNamed(inherited, FILE.view)) {
    const view = readFile<KeptView>(number);
    if (view === undefined || !isThere([view.mounts, view.names, view.listening])) continue;
    use([number, view.mounts, view.names, view.listening]);
    views.push([number, view]);
  }
  for (const number of filesNamed(inherited, FILE.place)) {
    const file = readFile<{ listening: number }>(number);
    if (file === undefined || !isThere([file.listening])) continue;
    use([number, file.listening]);
    place = file.listening;
  }
  const known = new Set(views.map(([, { ground }]) => ground));
  const listeners = filesNamed(inherited, FILE.calls).flatMap((notes) => {
    const found = readListener(notes);
    if (found === undefined || !isThere([found.listener])) return [];
    if (!known.has(String(found.ground))) return [];
    use([notes, found.listener]);
    return [found];
  });
  store.use(inherited.keys(), used);
  return { place, views: new Map(views.sort(([, a], [, b]) => a.id - b.id)), listeners };
}

function filesNamed(inherited: ReadonlyMap<number, string>, name: string): number[] {
  const found = [...inherited].filter(([, target]) => target.startsWith(`/memfd:${name} `));
  return found.map(([number]) => number);
}

function readFile<T>(number: number): T | undefined {
  try {
    const text = readFileSync(`/proc/self/fd/${number}`, "utf8");
    const content = JSON.parse(text) as T & { readonly version: number };
    return content.version === VERSION ? content : undefined;
  } catch {
    return undefined;
  }
}

function readListener(notes: number): KeptListener | undefined {
  const memory = new SharedMemory(notes);
  try {
    const { view } = memory;
    if (view.getUint32(HEAD.version, true) !== VERSION) return undefined;
    const listener = view.getUint32(HEAD.listener, true);
    const isQuiet = new CallNotes(memory).isEmpty;
    return { listener, notes, ground: view.getBigUint64(HEAD.ground, true), isQuiet };
  } finally {
    memory.unmap();
  }
}
