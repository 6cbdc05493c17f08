/**
 * How long a view takes to start: `true` in a view of a running server, by the native launcher,
 * against `bwrap` doing the same (case `bwrap-warm`); and without a server, against the start of a
 * Node that does nothing (case `node-cold`). In turns, each several times a round.
 *
 * Needs bwrap.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nativeLauncher, serverSocketPath } from "../src/engine/index.ts";
import { closeDescriptor, connectSession, peerPid } from "../src/sys/index.ts";
import { costFigure, type Figure } from "./figure.ts";
import { V2 } from "./programs.ts";

const STARTS_A_ROUND = 10;
const COLD_STARTS_A_ROUND = 3;

/** Seconds until a command line has ended. */
function secondsOf(words: readonly string[], env: NodeJS.ProcessEnv): number {
  const [program, ...rest] = words;
  const from = performance.now();
  const result = spawnSync(program!, rest, { env, stdio: "ignore" });
  const seconds = (performance.now() - from) / 1000;
  if (result.status !== 0) throw new Error(`${words.join(" ")} failed: ${result.error ?? ""}`);
  return seconds;
}

/** The user's server; undefined when there is none. */
function serverPid(): number | undefined {
  try {
    const session = connectSession(serverSocketPath());
    const pid = peerPid(session);
    closeDescriptor(session);
    return pid;
  } catch {
    return undefined;
  }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

async function endServer(): Promise<void> {
  await until(() => serverPid() !== undefined);
  const pid = serverPid()!;
  process.kill(pid, "SIGTERM");
  await until(() => !readdirSync("/proc").includes(String(pid)) && serverPid() === undefined);
  // Its last breath is not to be counted as part of the next start.
  await new Promise((resolve) => setTimeout(resolve, 100));
}

/** Runs in turns; the first round is not counted. */
export async function run(options: { readonly runs: number }): Promise<readonly Figure[]> {
  const folder = mkdtempSync(join(tmpdir(), "v2-bench-"));
  process.env["XDG_RUNTIME_DIR"] = folder;
  const env = process.env;
  const launcher = join(folder, "v2");
  const image = nativeLauncher({
    node: process.execPath,
    main: V2,
    serverSocket: serverSocketPath(),
  });
  writeFileSync(launcher, image, { mode: 0o755 });
  const view = [launcher, "view", "--", "true"];
  const seconds = { warm: [], bwrap: [], cold: [], node: [] } as {
    [name in "warm" | "bwrap" | "cold" | "node"]: number[];
  };
  try {
    for (let round = -1; round < options.runs; round++) {
      const keep = (name: keyof typeof seconds, words: readonly string[]): void => {
        const taken = secondsOf(words, env);
        if (round >= 0) seconds[name].push(taken);
      };
      for (let start = 0; start < COLD_STARTS_A_ROUND; start++) {
        keep("node", [process.execPath, "-e", "0"]);
        keep("cold", view);
        if (start < COLD_STARTS_A_ROUND - 1) await endServer();
      }
      await until(() => serverPid() !== undefined);
      secondsOf(view, env);
      for (let start = 0; start < STARTS_A_ROUND; start++) {
        keep("bwrap", ["bwrap", "--dev-bind", "/", "/", "true"]);
        keep("warm", view);
      }
      await endServer();
      process.stderr.write(`round ${round + 1}\n`);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const figures = (
    caseName: string,
    peerName: string,
    ours: readonly number[],
    peer: readonly number[],
  ): readonly Figure[] => {
    const name = { bench: "view-start", case: caseName, peerName };
    return [
      costFigure({ ...name, metric: "time" }, ours, peer),
      costFigure({ ...name, metric: "least-time" }, [Math.min(...ours)], [Math.min(...peer)]),
    ];
  };
  return [
    ...figures("bwrap-warm", "bwrap", seconds.warm, seconds.bwrap),
    ...figures("node-cold", "node -e 0", seconds.cold, seconds.node),
  ];
}
