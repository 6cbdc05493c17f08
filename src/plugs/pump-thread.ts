/** A pump in a thread of its own, held from outside. */
import { Worker } from "node:worker_threads";
import { V2Error } from "../base/index.ts";
import { Bell } from "../sys/index.ts";
import type { EndSource } from "./end-source.ts";
import type { PumpCounters, PumpSide } from "./pump.ts";

export interface PumpOptions {
  readonly left: EndSource;
  readonly right: EndSource;
  /** Opens the left end again, every so many milliseconds, when its peer has gone. */
  readonly reconnectMs?: number;
  /** Ring of a capture that gets a copy of each frame received from the left end. */
  readonly captureMemory?: SharedArrayBuffer;
}

export type PumpWorkerData = PumpOptions & { readonly bellFd: number };
export type PumpQuestion = { readonly kind: "counters" } | { readonly kind: "stop" };
export type PumpReport =
  | { readonly kind: "joined" }
  | { readonly kind: "counters"; readonly counters: PumpCounters }
  | {
      readonly kind: "ended";
      readonly closed: PumpSide | undefined;
      readonly counters: PumpCounters;
    }
  | {
      readonly kind: "failed";
      readonly code: string;
      readonly message: string;
      readonly remedy: string | undefined;
      readonly exitCode: number;
    };

/** How a pump ended: which side closed (undefined: it was stopped), and what it moved. */
export interface PumpResult {
  readonly closed: PumpSide | undefined;
  readonly counters: PumpCounters;
}

/** Starts the thread; ends with it. `stop` or the closing of a side ends both. */
export class PumpThread {
  /** Resolves when both ends are closed; rejects when one could not be opened. */
  readonly ended: Promise<PumpResult>;
  /** Resolves when frames flow for the first time; rejects like `ended`. */
  readonly joined: Promise<void>;
  readonly #bell = new Bell();
  readonly #worker: Worker;
  readonly #waiting: ((counters: PumpCounters) => void)[] = [];
  #result: PumpResult | undefined;

  constructor(options: PumpOptions) {
    const data: PumpWorkerData = { ...options, bellFd: this.#bell.fd };
    this.#worker = new Worker(new URL("./pump-worker.js", import.meta.url), { workerData: data });
    const exited = new Promise<void>((resolve) => {
      this.#worker.once("exit", () => resolve());
    });
    let join: () => void = () => undefined;
    let failJoin: (error: unknown) => void = () => undefined;
    this.joined = new Promise((resolve, reject) => {
      join = resolve;
      failJoin = reject;
    });
    this.ended = new Promise((resolve, reject) => {
      this.#worker.once("error", reject);
      this.#worker.on("message", (report: PumpReport) => {
        if (report.kind === "joined") join();
        else if (report.kind === "counters") this.#waiting.shift()?.(report.counters);
        else if (report.kind === "ended") {
          this.#result = report;
          void exited.then(() => {
            this.#bell.close();
            for (const answer of this.#waiting.splice(0)) answer(report.counters);
            resolve({ closed: report.closed, counters: report.counters });
          });
        } else {
          const { code, message, remedy, exitCode } = report;
          const failure = { exitCode, ...(remedy === undefined ? {} : { remedy }) };
          reject(new V2Error(code, message, failure));
        }
      });
    });
    this.ended.then(join, failJoin);
    // Whoever waits for one of the two sees a failure; nobody must wait for both.
    this.joined.catch(() => undefined);
    this.ended.catch(() => undefined);
  }

  async counters(): Promise<PumpCounters> {
    if (this.#result !== undefined) return this.#result.counters;
    const answered = new Promise<PumpCounters>((resolve) => this.#waiting.push(resolve));
    this.#ask({ kind: "counters" });
    return await answered;
  }

  /** Ends the pump and closes both ends; idempotent. */
  async stop(): Promise<PumpResult> {
    if (this.#result === undefined) this.#ask({ kind: "stop" });
    return await this.ended;
  }

  #ask(question: PumpQuestion): void {
    this.#worker.postMessage(question);
    this.#bell.ring();
  }
}
