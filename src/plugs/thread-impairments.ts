/** Impairments of a running switch as its console asks for them. */
import { ERRNO } from "../base/index.ts";
import {
  IMPAIRMENT_DELAY_MS_MAX,
  type ImpairmentInfo,
  type ImpairmentManagement,
  type ImpairmentSettings,
  type SwitchModel,
} from "../vde/index.ts";
import type { SwitchThread } from "./switch-thread.ts";

/** Which ports are impaired, and how. */
export class ThreadImpairments implements ImpairmentManagement {
  readonly #model: SwitchModel;
  readonly #thread: SwitchThread;
  readonly #settings = new Map<number, ImpairmentSettings>();

  constructor(model: SwitchModel, thread: SwitchThread) {
    this.#model = model;
    this.#thread = thread;
  }

  async list(): Promise<readonly ImpairmentInfo[]> {
    const { impairments } = await this.#thread.counters();
    return impairments.flatMap((counters) => {
      const settings = this.#settings.get(counters.port);
      return settings === undefined ? [] : [{ ...settings, ...counters }];
    });
  }

  async set(port: number, settings: ImpairmentSettings | undefined): Promise<number> {
    if (port < 0 || port > this.#model.portsMax) return ERRNO.EINVAL;
    if (this.#model.port(port) === undefined) return ERRNO.ENXIO;
    if (settings === undefined) {
      await this.forget(port);
      return 0;
    }
    const { delayMs, loss } = settings;
    if (!(delayMs >= 0 && delayMs <= IMPAIRMENT_DELAY_MS_MAX)) return ERRNO.EINVAL;
    if (!(loss >= 0 && loss <= 1)) return ERRNO.EINVAL;
    this.#settings.set(port, settings);
    await this.#thread.impair(port, settings);
    return 0;
  }

  /** The port is gone, or its impairment. */
  async forget(port: number): Promise<void> {
    if (this.#settings.delete(port)) await this.#thread.impair(port, undefined);
  }
}
