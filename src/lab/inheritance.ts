/**
 * The settings of one node after inheritance: defaults < kinds < groups < the node itself. Single
 * values are replaced by the nearer one, lists are joined (the farthest first), environments are
 * merged. Each value keeps the place in the file that it came from.
 */
import type { Path } from "./topology-file.ts";
import type { NodeSettings, TopologyFile } from "./topology-schema.ts";

export interface Placed<T> {
  readonly value: T;
  readonly path: Path;
}

export class Inherited {
  readonly name: string;
  readonly kind: string | undefined;
  readonly kindPath: Path;
  /** Farthest first. */
  readonly #layers: readonly Placed<NodeSettings>[];

  constructor(name: string, own: NodeSettings, topology: TopologyFile["topology"]) {
    this.name = name;
    const top = (key: string, ...more: readonly string[]): Path => ["topology", key, ...more];
    const group = own.group === undefined ? undefined : topology.groups?.[own.group];
    const outer: Placed<NodeSettings>[] = [];
    if (topology.defaults !== undefined) {
      outer.push({ value: topology.defaults, path: top("defaults") });
    }
    const inner: Placed<NodeSettings>[] = [];
    if (group !== undefined) inner.push({ value: group, path: top("groups", own.group!) });
    inner.push({ value: own, path: top("nodes", name) });
    const kind = nearest([...outer, ...inner], "kind");
    this.kind = kind?.value;
    this.kindPath = kind?.path ?? top("nodes", name);
    const ofKind = this.kind === undefined ? undefined : topology.kinds?.[this.kind];
    if (ofKind !== undefined) outer.push({ value: ofKind, path: top("kinds", this.kind!) });
    this.#layers = [...outer, ...inner];
  }

  /** The nearest value of a key and where it stands. */
  get<K extends keyof NodeSettings>(key: K): Placed<NonNullable<NodeSettings[K]>> | undefined {
    return nearest(this.#layers, key);
  }

  /** The elements of a list, of all layers. */
  list(key: "mounts" | "exec"): Placed<string>[] {
    return this.#layers.flatMap(({ value, path }) =>
      (value[key] ?? []).map((element, i) => ({ value: element, path: [...path, key, i] })),
    );
  }

  environment(): { [name: string]: string } {
    return Object.assign({}, ...this.#layers.map((layer) => layer.value.env ?? {})) as {
      [name: string]: string;
    };
  }
}

function nearest<K extends keyof NodeSettings>(
  layers: readonly Placed<NodeSettings>[],
  key: K,
): Placed<NonNullable<NodeSettings[K]>> | undefined {
  const layer = layers.findLast(({ value }) => value[key] !== undefined);
  if (layer === undefined) return undefined;
  return { value: layer.value[key] as NonNullable<NodeSettings[K]>, path: [...layer.path, key] };
}
