/**
 * Short names of mount types, by view: a view inside another begins with those of that time, and
 * neither sees what the other defines later.
 */
import { EXIT, V2Error } from "../../base/index.ts";
import type { Layer, ViewTree } from "../../viewos/index.ts";
import type { SharedSettings } from "./shared-settings.ts";
import type { AliasTable, ViewSettings } from "./view-settings.ts";

/** Aliases of a view at most. */
const ALIASES_MAX = 100;
/** Longest name of a mount type, as far as aliases go. */
const TYPE_LENGTH_MAX = 64;

/** What is put into a view. */
class Alias {
  readonly alias: string;
  readonly type: string;

  constructor(alias: string, type: string) {
    this.alias = alias;
    this.type = type;
  }
}

/** The aliases of all views of a supervisor. */
export class FsAliases {
  readonly #tree: ViewTree<unknown>;
  readonly #settings: SharedSettings<ViewSettings>;

  /** @param settings tell the notify worker. */
  constructor(tree: ViewTree<unknown>, settings: SharedSettings<ViewSettings>) {
    this.#tree = tree;
    this.#settings = settings;
  }

  /** Those that a view sees. */
  of(view: number): AliasTable {
    return Object.fromEntries(this.#layers(view).map(({ value }) => [value.alias, value.type]));
  }

  /** Defines an alias for a view, in place of an older one; without a type removes it. */
  set(view: number, alias: unknown, type: unknown): void {
    if (!isName(alias) || !(type === undefined || isName(type))) {
      throw new V2Error(
        "ARGUMENTS",
        `an alias and a type have 1 to ${TYPE_LENGTH_MAX} characters`,
        {
          exitCode: EXIT.usage,
        },
      );
    }
    const layers = this.#layers(view);
    const old = layers.filter(({ value }) => value.alias === alias);
    if (type === undefined && old.length === 0) {
      throw new V2Error("NO_ALIAS", `'${alias}' is no alias`, { exitCode: EXIT.notFound });
    }
    if (layers.length - old.length >= ALIASES_MAX) {
      throw new V2Error("TOO_MANY", `a view has ${ALIASES_MAX} aliases at most`, {
        remedy: "remove one: um_fsalias ALIAS",
      });
    }
    for (const layer of old) this.#tree.remove(view, layer);
    if (type !== undefined) this.#tree.insert(view, new Alias(alias, type));
  }

  /** Tells the notify worker what holds on which ground. */
  publish(views: readonly { readonly id: number; readonly ground: bigint }[]): void {
    const tables = views.map(({ id, ground }) => [String(ground), this.of(id)] as const);
    const aliases = Object.fromEntries(tables.filter(([, table]) => Object.keys(table).length > 0));
    const { value } = this.#settings;
    const isNews = Object.keys(aliases).length + Object.keys(value.aliases).length > 0;
    if (isNews) this.#settings.write({ ...value, aliases });
  }

  #layers(view: number): readonly Layer<Alias>[] {
    return this.#tree.layers(view).filter(isAlias);
  }
}

function isAlias(layer: Layer<unknown>): layer is Layer<Alias> {
  return layer.value instanceof Alias;
}

function isName(text: unknown): text is string {
  return typeof text === "string" && text !== "" && text.length <= TYPE_LENGTH_MAX;
}
