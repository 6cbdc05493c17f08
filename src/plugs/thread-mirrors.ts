/** Mirrors of a running switch as its console asks for them. */
import type { MirrorInfo, MirrorManagement, SwitchModel, TapScope } from "../vde/index.ts";
import type { SwitchThread } from "./switch-thread.ts";

/** The model decides, the packet thread counts. */
export class ThreadMirrors implements MirrorManagement {
  readonly #model: SwitchModel;
  readonly #thread: SwitchThread;

  constructor(model: SwitchModel, thread: SwitchThread) {
    this.#model = model;
    this.#thread = thread;
  }

  async list(): Promise<readonly MirrorInfo[]> {
    const { mirrors } = await this.#thread.counters();
    const counters = new Map(mirrors.map((mirror) => [mirror.id, mirror]));
    return this.#model.mirrors.list().map((mirror) => {
      const { copied = 0, droppedFull = 0, droppedAbsent = 0 } = counters.get(mirror.id) ?? {};
      return { ...mirror, copied, droppedFull, droppedAbsent };
    });
  }

  async add(scope: TapScope, target: number): Promise<number> {
    return await this.#settled(this.#model.mirror(scope, target));
  }

  async remove(
    scope: Pick<TapScope, "port" | "vlan">,
    target: number | undefined,
  ): Promise<number> {
    return await this.#settled(this.#model.unmirror(scope, target));
  }

  /** Answers when the packet thread copies as it was asked to. */
  async #settled(error: number): Promise<number> {
    if (error === 0) await this.#thread.tune({});
    return error;
  }
}
