/** What the control plane and the packet thread of a switch say to each other. Plain data only. */
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

export type SwitchCommand =
  | { readonly kind: "add"; readonly id: number; readonly port: number; readonly source: EndSource }
  | { readonly kind: "remove"; readonly id: number }
  | { readonly kind: "counters" }
  | { readonly kind: "stations" }
  | { readonly kind: "fstp"; readonly request: FstpRequest }
  | { readonly kind: "change"; readonly change: SwitchChange }
  | { readonly kind: "tune"; readonly tuning: DataplaneTuning }
  | { readonly kind: "capture"; readonly capture: SwitchCapture }
  | { readonly kind: "endCapture"; readonly id: number }
  | {
      readonly kind: "impair";
      readonly port: number;
      readonly settings: ImpairmentSettings | undefined;
    }
  | { readonly kind: "stop" };

/** Each command carries a number that its answer repeats. */
export interface NumberedCommand {
  readonly number: number;
  readonly command: SwitchCommand;
}

export type SwitchReport =
  | {
      readonly kind: "answer";
      readonly number: number;
      readonly counters?: SwitchCounters;
      readonly stations?: readonly MacEntry[];
      readonly fstp?: FstpAnswer;
      readonly error?: {
        readonly code: string;
        readonly message: string;
        readonly remedy?: string;
      };
    }
  | { readonly kind: "endClosed"; readonly id: number }
  | { readonly kind: "station"; readonly change: StationChange }
  | { readonly kind: "fstpEvent"; readonly event: FstpEvent };

/** What the packet thread is started with. */
export interface SwitchWorkerData {
  readonly bellFd: number;
  readonly options: SwitchOptions;
}
