/** Who answers the calls of a view: that depends on whether it has namespaces. */
import type { CallRequest, Standpoint } from "../../sys/index.ts";
import type { ControlDoor } from "../control/control-door.ts";
import type { SharedSettings } from "../control/shared-settings.ts";
import type { ViewSettings } from "../control/view-settings.ts";
import type { OutsideConfig } from "../launch/launch-outside.ts";
import { type ModuleSurroundings, surroundingsIn } from "../modules/module-surroundings.ts";
import { OutsideGuests, type OutsideGuestsHelp } from "../outside/outside-guests.ts";
import { leadNotified } from "../outside/remote-call.ts";
import { PathService, policyOf } from "../paths/path-service.ts";
import type { Answer } from "./answer.ts";
import type { Grounds } from "./grounds.ts";
import type { Relief } from "./relief.ts";
import { TrappedCalls } from "./trapped-calls.ts";
import type { ViewTraps } from "./view-traps.ts";

export interface Answering {
  readonly calls: { perform(request: CallRequest): Answer };
  /** Answers path calls from the ground of the first view; undefined: the kernel, or `calls`. */
  readonly service: PathService | undefined;
  /** What has laid down rights of our thread, or keeps directories busy. */
  readonly paths: Pick<PathService, "rest" | "forget" | "forgetAfterMs"> | undefined;
  readonly surroundings: ModuleSurroundings;
}

export interface AnsweringHelp extends Pick<OutsideGuestsHelp, "depute"> {
  readonly standpoint: Standpoint;
  readonly grounds: Grounds;
  readonly door: ControlDoor;
  readonly settings: SharedSettings<ViewSettings>;
  readonly relief: Relief;
  /** Has a stopped guest make a call itself; left out: they wait in notifications. */
  readonly lead?: OutsideGuestsHelp["lead"] | undefined;
}

/** @param view without namespaces when `outside` is set (rungs C and D) */
export function answeringOf(
  { outside, traps }: { readonly outside: OutsideConfig | undefined; readonly traps: ViewTraps },
  help: AnsweringHelp,
): Answering {
  const { standpoint, grounds, relief } = help;
  const { paths } = traps;
  if (outside !== undefined) {
    const pass = BigInt(`0x${outside.pass}`);
    const lead: OutsideGuestsHelp["lead"] =
      help.lead ?? ((request, instead) => leadNotified(request, instead, pass));
    const guests = new OutsideGuests(outside, { ...help, paths, lead });
    return { calls: guests, service: undefined, paths: guests, surroundings: guests };
  }
  const service = paths && new PathService(standpoint, grounds, paths, relief);
  const calls = new TrappedCalls(standpoint, grounds, help, service);
  const surroundings = surroundingsIn(help, paths && policyOf(paths));
  return { calls, service, paths: service, surroundings };
}
