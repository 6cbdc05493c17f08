/**
 * Views inside views. Everything that is put into a view, a module or a mount, is a *layer* with
 * the moment of its insertion, its epoch. A view sees its own layers and those that its parent saw
 * when the view was made; what the parent does later is no concern of it, and what it does itself
 * never reaches the parent. A module that acts in a view sees only what is older than itself: this
 * is how nesting comes to an end.
 *
 * Source: the epochs of View-OS (a tree of time stamps that forks with each nested view).
 */
import { V2Error } from "../base/index.ts";

/** Views under views, at most: the kernel nests user namespaces 32 deep, two are ours. */
export const VIEW_DEPTH_MAX = 29;

/** A view and its place in the tree. */
export interface ViewNode {
  /** Never used again in the same tree. */
  readonly id: number;
  /** The view it was made in; undefined for the outermost. */
  readonly parent: number | undefined;
  /** What the parent does from this moment on is not seen. */
  readonly born: number;
  /** 0 for the outermost. */
  readonly depth: number;
  /** By what it is found and shown; may change. */
  name: string | undefined;
}

/** Something that was put into a view. */
export interface Layer<T> {
  readonly view: number;
  readonly epoch: number;
  readonly value: T;
}

/** What is left over: nobody sees these layers any more, so they can be torn down. */
export interface Closed<T> {
  /** The closed views, children before parents. */
  readonly views: readonly ViewNode[];
  readonly layers: readonly Layer<T>[];
}

/** Insertions and removals of one view, in the order of time. */
interface Book<T> {
  readonly node: ViewNode;
  readonly children: Set<number>;
  readonly layers: Layer<T>[];
  /** Layers that are gone for this view, its own or inherited, and since when. */
  readonly gone: Map<Layer<T>, number>;
}

/** The views of one supervisor, with what is in them. */
export class ViewTree<T> {
  readonly #books = new Map<number, Book<T>>();
  #clock = 0;
  #lastId = 0;

  /**
   * Makes a view.
   * @param id its number, when it had one in another tree; higher than those of all others
   * @throws V2Error when the parent does not exist or is nested too deep.
   */
  open(parent?: number, name?: string, id: number = this.#lastId + 1): ViewNode {
    const above = parent === undefined ? undefined : this.#book(parent);
    const depth = above === undefined ? 0 : above.node.depth + 1;
    if (depth > VIEW_DEPTH_MAX) {
      throw new V2Error("VIEW_DEPTH", `views nest ${VIEW_DEPTH_MAX} deep at most`, {
        remedy: "leave a view ('exit') and start the new one from outside",
      });
    }
    this.#lastId = id;
    const node: ViewNode = { id, parent, born: ++this.#clock, depth, name };
    this.#books.set(node.id, { node, children: new Set(), layers: [], gone: new Map() });
    above?.children.add(node.id);
    return node;
  }

  /** Closes a view and all that is nested in it; a view that is closed already is no error. */
  close(id: number): Closed<T> {
    const views: ViewNode[] = [];
    const layers: Layer<T>[] = [];
    const book = this.#books.get(id);
    if (book === undefined) return { views, layers };
    for (const child of book.children) {
      const inner = this.close(child);
      views.push(...inner.views);
      layers.push(...inner.layers);
    }
    const held = [...this.layers(id)];
    this.#books.delete(id);
    if (book.node.parent !== undefined) this.#books.get(book.node.parent)?.children.delete(id);
    views.push(book.node);
    layers.push(...held.filter((layer) => !this.isHeld(layer)));
    return { views, layers };
  }

  /** Puts something into a view. */
  insert(view: number, value: T): Layer<T> {
    const layer = { view, epoch: ++this.#clock, value };
    this.#book(view).layers.push(layer);
    return layer;
  }

  /**
   * Takes a layer out of a view, its own or an inherited one; views that were made before still see
   * it. @returns whether a view is left that sees it.
   */
  remove(view: number, layer: Layer<T>): boolean {
    const book = this.#book(view);
    if (!book.gone.has(layer)) book.gone.set(layer, ++this.#clock);
    return this.isHeld(layer);
  }

  /** Takes a layer out of every view: what it stands for is no more. */
  discard(layer: Layer<T>): void {
    for (const { id } of this.all()) {
      if (this.layers(id).includes(layer)) this.remove(id, layer);
    }
  }

  /**
   * What a view sees, oldest first.
   * @param before only what is older: the epoch of the module that asks. What was removed since is
   *   not seen in any case.
   */
  layers(view: number, before = Number.POSITIVE_INFINITY): Layer<T>[] {
    const found: Layer<T>[] = [];
    const gone = new Map<Layer<T>, number>();
    // Up the tree: of each ancestor what had happened when the branch below it began.
    let limit = Number.POSITIVE_INFINITY;
    for (let book = this.#books.get(view); book !== undefined; ) {
      for (const [layer, epoch] of book.gone) if (epoch < limit) gone.set(layer, epoch);
      for (const layer of book.layers.toReversed()) {
        if (layer.epoch < limit && layer.epoch < before && !gone.has(layer)) found.push(layer);
      }
      limit = book.node.born;
      book = book.node.parent === undefined ? undefined : this.#books.get(book.node.parent);
    }
    return found.toReversed();
  }

  /** Does any view see the layer? */
  isHeld(layer: Layer<T>): boolean {
    return this.isHeldBeside(layer, undefined);
  }

  /** Does any view but that one see the layer? */
  isHeldBeside(layer: Layer<T>, but: number | undefined): boolean {
    const others = [...this.#books.keys()].filter((view) => view !== but);
    return others.some((view) => this.layers(view).includes(layer));
  }

  /** A view by its number; undefined: closed, or never made. */
  node(id: number): ViewNode | undefined {
    return this.#books.get(id)?.node;
  }

  /** Views made in a view, in the order of their making. */
  children(id: number): ViewNode[] {
    return [...(this.#books.get(id)?.children ?? [])].map((child) => this.#book(child).node);
  }

  /** All views, each before its children. */
  all(): ViewNode[] {
    const under = (node: ViewNode): ViewNode[] => [
      node,
      ...this.children(node.id).flatMap((child) => under(child)),
    ];
    return [...this.#books.values()]
      .filter((book) => book.node.parent === undefined)
      .flatMap((book) => under(book.node));
  }

  /** Is `view` the other one, or nested in it at any depth? */
  isWithin(view: number, other: number): boolean {
    for (let node = this.node(view); node !== undefined; ) {
      if (node.id === other) return true;
      node = node.parent === undefined ? undefined : this.node(node.parent);
    }
    return false;
  }

  #book(id: number): Book<T> {
    const book = this.#books.get(id);
    if (book === undefined) throw new V2Error("NO_VIEW", `there is no view ${id}`);
    return book;
  }
}
