/**
 * Commands that look into the traffic or disturb it, which vde_switch does not have: mirrors,
 * captures, impairments.
 */
import { ERRNO } from "../../base/index.ts";
import type { CaptureInfo } from "../management.ts";
import { printScope, type TapDirection, type TapScope } from "../taps.ts";
import { type ConsoleCommand, type SessionContext, zeros } from "./command.ts";
import { atoi, scanIntegers } from "./scan.ts";

const DIRECTIONS: readonly TapDirection[] = ["in", "out", "both"];

export const MONITOR_COMMANDS: readonly ConsoleCommand[] = [
  {
    path: "port/mirror",
    syntax: "N TARGET [DIR]",
    help: "copy what passes the port N (in, out, both) to the port TARGET",
    run: (session, text) => mirror(session, "port", text),
  },
  {
    path: "port/unmirror",
    syntax: "N [TARGET]",
    help: "copy the port N no longer",
    run: (session, text) => unmirror(session, "port", text),
  },
  {
    path: "vlan/mirror",
    syntax: "N TARGET [DIR]",
    help: "copy what passes in the VLAN N (in, out, both) to the port TARGET",
    run: (session, text) => mirror(session, "vlan", text),
  },
  {
    path: "vlan/unmirror",
    syntax: "N [TARGET]",
    help: "copy the VLAN N no longer",
    run: (session, text) => unmirror(session, "vlan", text),
  },
  {
    path: "mirror/list",
    syntax: "",
    help: "list the mirrors and what they copied",
    hasData: true,
    run: listMirrors,
  },
  {
    path: "capture/start",
    syntax: "FILE [WHAT]",
    help: "capture to a file or FIFO: port N or vlan N; in, out or both; once",
    hasData: true,
    run: startCapture,
  },
  {
    path: "capture/stop",
    syntax: "ID",
    help: "end a capture",
    hasData: true,
    run: async ({ management, print }, text) => {
      const outcome = await management.captures.stop(atoi(text));
      if (typeof outcome === "number") return outcome;
      print(captureLine(outcome));
      return 0;
    },
  },
  {
    path: "capture/list",
    syntax: "",
    help: "list the captures and what they wrote",
    hasData: true,
    run: ({ management, print }) => {
      for (const capture of management.captures.list()) print(captureLine(capture));
      return 0;
    },
  },
  {
    path: "port/impair",
    syntax: "N WHAT",
    help: "impair the cables of the port N: delay=MS loss=PERCENT seed=N, or none",
    run: impair,
  },
  {
    path: "impair/list",
    syntax: "",
    help: "list the impaired ports and what was lost",
    hasData: true,
    run: async ({ management, print }) => {
      for (const info of await management.impairments.list()) {
        print(
          `Port ${zeros(info.port, 4)} delay=${info.delayMs} loss=${percent(info.loss)} ` +
            `seed=${info.seed}: lost ${info.lost} overflowed ${info.overflowed} ` +
            `under way ${info.underWay}`,
        );
      }
      return 0;
    },
  },
];

function scopeOf(kind: "port" | "vlan", number: number): Pick<TapScope, "port" | "vlan"> {
  return kind === "port" ? { port: number } : { vlan: number };
}

function mirror({ management }: SessionContext, kind: "port" | "vlan", text: string) {
  const { values, rest } = scanIntegers(text, 2);
  const [number, target] = values;
  const word = rest.trim();
  const direction = word === "" ? "both" : DIRECTIONS.find((name) => name === word);
  if (number === undefined || target === undefined || direction === undefined) return ERRNO.EINVAL;
  return management.mirrors.add({ ...scopeOf(kind, number), direction }, target);
}

function unmirror({ management }: SessionContext, kind: "port" | "vlan", text: string) {
  const [number, target] = scanIntegers(text, 2).values;
  if (number === undefined) return ERRNO.EINVAL;
  return management.mirrors.remove(scopeOf(kind, number), target);
}

async function listMirrors({ management, print }: SessionContext): Promise<number> {
  for (const mirrored of await management.mirrors.list()) {
    const { target, direction, copied, droppedFull, droppedAbsent } = mirrored;
    print(
      `Mirror of ${printScope(mirrored)} ${direction} to port ${target}: copied ${copied} ` +
        `dropped full=${droppedFull} absent=${droppedAbsent}`,
    );
  }
  return 0;
}

/** Words behind the name of the file, which may hold blanks itself. */
const CAPTURE_WORDS = /^(.*?)(?:\s+(port|vlan)\s+(\d+))?(?:\s+(in|out|both))?(\s+once)?\s*$/;

async function startCapture({ management, print }: SessionContext, text: string): Promise<number> {
  const [, path = "", kind, number, direction, once] = CAPTURE_WORDS.exec(text)!;
  const place =
    kind === undefined ? {} : scopeOf(kind === "port" ? "port" : "vlan", Number(number));
  // Everything that enters is every frame once.
  const scope: TapScope = {
    ...place,
    direction:
      DIRECTIONS.find((name) => name === direction) ?? (kind === undefined ? "in" : "both"),
  };
  const id = await management.captures.start(path, scope, once !== undefined);
  if (id < 0) return -id;
  print(`Capture ${zeros(id, 4)}`);
  return 0;
}

function captureLine({ id, path, scope, written, dropped, unread }: CaptureInfo): string {
  return (
    `Capture ${zeros(id, 4)} ${printScope(scope)} ${scope.direction}: written ${written} ` +
    `dropped slow=${dropped} unread=${unread} to ${path}`
  );
}

const NUMBER = /^\d+(?:\.\d+)?$/;
const SEED_MAX = 2 ** 32 - 1;

function impair({ management }: SessionContext, text: string): number | Promise<number> {
  const { values, rest } = scanIntegers(text, 1);
  const [port] = values;
  const words = rest.trim().split(/\s+/);
  if (port === undefined || rest.trim() === "") return ERRNO.EINVAL;
  if (rest.trim() === "none") return management.impairments.set(port, undefined);
  const given = new Map<string, number>();
  for (const word of words) {
    const [name = "", value = ""] = word.split("=", 2);
    const isKnown = name === "delay" || name === "loss" || name === "seed";
    if (!isKnown || !NUMBER.test(value)) return ERRNO.EINVAL;
    given.set(name, Number(value));
  }
  // Without a seed each port has its own, and the same in every run.
  const seed = given.get("seed") ?? port;
  if (!Number.isInteger(seed) || seed > SEED_MAX) return ERRNO.EINVAL;
  const [delayMs, loss] = [given.get("delay") ?? 0, (given.get("loss") ?? 0) / PERCENT];
  return management.impairments.set(port, { delayMs, loss, seed });
}

const PERCENT = 100;

function percent(share: number): number {
  return Number((share * PERCENT).toFixed(6));
}
