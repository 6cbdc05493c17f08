/**
 * The counters of a switch in a file, for whoever collects such files (Prometheus' node exporter,
 * textfile collector). The file is always whole: a new one is written beside it and renamed.
 */
import { rename, rm, writeFile } from "node:fs/promises";
import { V2Error } from "../base/index.ts";
import { metrics, type SwitchManagement } from "../vde/index.ts";

export interface MetricsFileOptions {
  readonly path: string;
  readonly intervalMs: number;
  readonly management: SwitchManagement;
  /** Told when it cannot be written, once until it can. */
  readonly log: (line: string) => void;
}

/** Writes the file until it is closed, and a last time then. */
export class MetricsFile {
  readonly #options: MetricsFileOptions;
  readonly #timer: NodeJS.Timeout;
  #writing: Promise<void> | undefined;
  #hasFailed = false;

  private constructor(options: MetricsFileOptions) {
    this.#options = options;
    // A write that takes longer than the interval is not overtaken.
    this.#timer = setInterval(() => void this.#update(), options.intervalMs);
  }

  /** Resolves when the file is there. @throws V2Error when it cannot be written. */
  static async start(options: MetricsFileOptions): Promise<MetricsFile> {
    try {
      await write(options);
    } catch (cause) {
      const { code = "EIO", message } = cause as NodeJS.ErrnoException;
      throw new V2Error(code, `metrics file '${options.path}': ${message}`, {
        remedy: "name a file in a directory that exists and may be written to",
        cause,
      });
    }
    return new MetricsFile(options);
  }

  /** Writes what is counted now and ends; idempotent. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#writing;
    await this.#update();
  }

  async #update(): Promise<void> {
    this.#writing ??= this.#write();
    await this.#writing;
    this.#writing = undefined;
  }

  async #write(): Promise<void> {
    try {
      await write(this.#options);
      this.#hasFailed = false;
    } catch (error) {
      const { path, log } = this.#options;
      if (!this.#hasFailed) log(`metrics file '${path}': ${(error as Error).message}`);
      this.#hasFailed = true;
    }
  }
}

async function write({ path, management }: MetricsFileOptions): Promise<void> {
  const text = `${(await metrics(management)).join("\n")}\n`;
  // Collectors read "*.prom" only.
  const next = `${path}.${process.pid}.new`;
  try {
    await writeFile(next, text, { mode: 0o644 });
    await rename(next, path);
  } catch (error) {
    await rm(next, { force: true });
    throw error;
  }
}
