/**
 * A running data plane as the control plane holds it: every request is answered by the packet
 * thread.
 */
import { Worker } from "node:worker_threads";
import { V2Error } from "../base/index.ts";
import { Bell } from "../sys/index.ts";
import type {
  FstpEvent,
  ImpairmentSettings,
  MacEntry,
  StationChange,
  SwitchChange,
  SwitchOptions,
} from "../vde/index.ts";
import type { EndSource } from "./end-source.ts";
import type { SwitchCapture } from "./frame-tap.ts";
import type { DataplaneTuning, SwitchCounters } from "./switch-counters.ts";
import type { FstpAnswer, FstpRequest } from "./switch-fstp.ts";
import type { SwitchCommand, SwitchReport, SwitchWorkerData } from "./switch-protocol.ts";

type Answer = Extract<SwitchReport, { kind: "answer" }>;

export class SwitchThread {
  /** Called when a cable's end closed by itself; the cable is still to be removed. */
  onEndClosed: (id: number) => void = () => undefined;
  /** Called for stations learned and forgotten while they are watched (`tune`). */
  onStation: (change: StationChange) => void = () => undefined;
  /** Called when the spanning tree noticed something. */
  onFstpEvent: (event: FstpEvent) => void = () => undefined;
  readonly #bell = new Bell();
  readonly #worker: Worker;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  readonly #exited: Promise<void>;
  #nextNumber = 0;
  #hasExited = false;
  #stopping: Promise<void> | undefined;

  constructor(options: SwitchOptions = {}) {
    const data: SwitchWorkerData = { bellFd: this.#bell.fd, options };
    this.#worker = new Worker(new URL("./switch-worker.js", import.meta.url), { workerData: data });
    this.#worker.on("message", (report: SwitchReport) => this.#heard(report));
    this.#exited = new Promise((resolve) => {
      this.#worker.once("exit", () => {
        for (const [number, answer] of this.#waiting) answer({ kind: "answer", number });
        resolve();
        this.#hasExited = true;
      });
    });
  }

  /**
   * Plugs a cable in; when this resolves its frames are carried. @throws V2Error from opening its
   * end.
   */
  async add(id: number, port: number, source: EndSource): Promise<void> {
    await this.#ask({ kind: "add", id, port, source });
  }

  /**
   * Pulls a cable and closes its end; afterwards its descriptor number may be used again.
   * @returns the counters just before, undefined when the thread had ended.
   */
  async remove(id: number): Promise<SwitchCounters | undefined> {
    return (await this.#ask({ kind: "remove", id })).counters;
  }

  /** Changes the running switch; later changes and questions come after it. */
  async change(change: SwitchChange): Promise<void> {
    await this.#ask({ kind: "change", change });
  }

  async tune(tuning: DataplaneTuning): Promise<void> {
    await this.#ask({ kind: "tune", tuning });
  }

  /** Frames are copied into the capture's ring from now on. */
  async capture(capture: SwitchCapture): Promise<void> {
    await this.#ask({ kind: "capture", capture });
  }

  /** When this resolves nothing more comes into the capture's ring. */
  async endCapture(id: number): Promise<void> {
    await this.#ask({ kind: "endCapture", id });
  }

  /** Impairs the cables of a port; undefined: no longer. */
  async impair(port: number, settings: ImpairmentSettings | undefined): Promise<void> {
    await this.#ask({ kind: "impair", port, settings });
  }

  /** Stations known now; none when the thread has ended. */
  async stations(): Promise<readonly MacEntry[]> {
    return (await this.#ask({ kind: "stations" })).stations ?? [];
  }

  async counters(): Promise<SwitchCounters> {
    const { counters } = await this.#ask({ kind: "counters" });
    if (counters === undefined) throw new V2Error("SWITCH_STOPPED", "the switch has stopped");
    return counters;
  }

  /** Asks the spanning tree for something; undefined when the thread has ended. */
  async fstp(request: FstpRequest): Promise<FstpAnswer | undefined> {
    return (await this.#ask({ kind: "fstp", request })).fstp;
  }

  /** Ends the thread and closes every cable; idempotent. */
  async stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    await this.#stopping;
  }

  async #stop(): Promise<void> {
    await this.#ask({ kind: "stop" });
    await this.#exited;
    this.#bell.close();
  }

  async #ask(command: SwitchCommand): Promise<Answer> {
    const number = this.#nextNumber++;
    if (this.#hasExited) return { kind: "answer", number };
    const answered = new Promise<Answer>((resolve) => this.#waiting.set(number, resolve));
    this.#worker.postMessage({ number, command });
    this.#bell.ring();
    const answer = await answered;
    this.#waiting.delete(number);
    const { error } = answer;
    if (error === undefined) return answer;
    throw new V2Error(
      error.code,
      error.message,
      error.remedy === undefined ? {} : { remedy: error.remedy },
    );
  }

  #heard(report: SwitchReport): void {
    if (report.kind === "endClosed") this.onEndClosed(report.id);
    else if (report.kind === "fstpEvent") this.onFstpEvent(report.event);
    else if (report.kind === "station") this.onStation(report.change);
    else this.#waiting.get(report.number)?.(report);
  }
}
