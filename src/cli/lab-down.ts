/** `v2 lab down NAME|FILE`: asks the runner to end and waits until it has. */
import { setTimeout as sleep } from "node:timers/promises";
import { EXIT, V2Error } from "../base/index.ts";
import { forgetLog, pruneLabs, startTicksOf } from "../lab/index.ts";
import type { Invocation } from "./command.ts";
import { allWords, labOf, wordAt } from "./lab-support.ts";

const LIMIT_MS = 15_000;
const POLL_MS = 50;

export async function run(invocation: Invocation): Promise<number> {
  const lab = labOf(wordAt(allWords(invocation), 0, "the name of the lab, or its file"));
  process.kill(lab.pid, "SIGTERM");
  const deadline = performance.now() + LIMIT_MS;
  while (startTicksOf(lab.pid) === lab.startTicks) {
    if (performance.now() > deadline) {
      throw new V2Error("LAB_STUCK", `the runner of lab '${lab.name}' (pid ${lab.pid}) goes on`, {
        remedy: `kill -9 ${lab.pid}: everything of the lab dies with it`,
      });
    }
    await sleep(POLL_MS);
  }
  pruneLabs();
  forgetLog(lab.name);
  return EXIT.ok;
}
