/**
 * What is known of running labs: a private directory each, with the process that runs it. A lab is
 * alive as long as that process is; everything else of it dies with it.
 */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EXIT, V2Error } from "../base/index.ts";
import { namesIn, runDirectory, runFolder, tidyRunDirectory } from "../engine/index.ts";
import type { Topology } from "./topology.ts";

export interface LabRecord {
  readonly name: string;
  readonly pid: number;
  /**
   * Start of that process in clock ticks since boot: tells it from a later one of the same number.
   */
  readonly startTicks: string;
  readonly topology: Topology;
}

const RECORD = "lab.json";

/** The directory of a lab by its name; not made here. */
export function labDirectory(name: string): string {
  return join(runFolder("labs"), name);
}

/** What the runner of a lab in the background says; its directory is made here. */
export function makeLogPath(name: string): string {
  runDirectory();
  mkdirSync(runFolder("logs"), { recursive: true, mode: 0o700 });
  return logPath(name);
}

function logPath(name: string): string {
  return join(runFolder("logs"), `${name}.log`);
}

/** Removes what the runner of a lab in the background has said. */
export function forgetLog(name: string): void {
  rmSync(logPath(name), { force: true });
  tidyRunDirectory();
}

/** Name of a lab's view among all views of the user. */
export function viewName(lab: string, node: string): string {
  return `${lab}.${node}`;
}

/** Directory of a switch of a lab. */
export function switchDirectory(lab: string, node: string): string {
  return join(labDirectory(lab), node);
}

/**
 * Makes the directory of a lab, for this process. What a dead run of the same lab has left is
 * removed.
 * @throws V2Error LAB_EXISTS when it is running.
 */
export function claimLab(topology: Topology): string {
  const running = findLab(topology.name);
  if (running !== undefined) {
    throw new V2Error("LAB_EXISTS", `lab '${topology.name}' is running (pid ${running.pid})`, {
      remedy: `end it with: v2 lab down ${topology.name}`,
    });
  }
  const directory = labDirectory(topology.name);
  rmSync(directory, { recursive: true, force: true });
  runDirectory();
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const record: LabRecord = {
    name: topology.name,
    pid: process.pid,
    startTicks: startTicksOf(process.pid) ?? "",
    topology,
  };
  writeFileSync(join(directory, `${RECORD}.new`), JSON.stringify(record), { mode: 0o600 });
  renameSync(join(directory, `${RECORD}.new`), join(directory, RECORD));
  return directory;
}

/** Removes the directory of a lab of this process. */
export function forgetLab(name: string): void {
  rmSync(labDirectory(name), { recursive: true, force: true });
  tidyRunDirectory();
}

/** The running lab of this name. */
export function findLab(name: string): LabRecord | undefined {
  let record: LabRecord;
  try {
    record = JSON.parse(readFileSync(join(labDirectory(name), RECORD), "utf8")) as LabRecord;
  } catch {
    return undefined;
  }
  const isAlive = record.startTicks !== "" && startTicksOf(record.pid) === record.startTicks;
  return isAlive ? record : undefined;
}

/** All running labs of this user. */
export function listLabs(): LabRecord[] {
  return namesIn("labs").flatMap((name) => findLab(name) ?? []);
}

/** Removes what dead labs have left, with their logs; @returns their names. */
export function pruneLabs(): string[] {
  const dead = namesIn("labs").filter((name) => findLab(name) === undefined);
  for (const name of dead) {
    rmSync(labDirectory(name), { recursive: true, force: true });
    rmSync(logPath(name), { force: true });
  }
  tidyRunDirectory();
  return dead;
}

/** The lab of a name or topology name. @throws V2Error NO_LAB (exit 3). */
export function runningLab(name: string): LabRecord {
  const found = findLab(name);
  if (found !== undefined) return found;
  const running = listLabs().map((lab) => lab.name);
  throw new V2Error("NO_LAB", `no lab '${name}' is running`, {
    remedy: running.length === 0 ? "start one: v2 lab up FILE" : `running: ${running.join(", ")}`,
    exitCode: EXIT.notFound,
  });
}

/** Field 22 of /proc/PID/stat (proc(5)); undefined when there is no such process, or a dead one. */
export function startTicksOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The command name in parentheses may itself have spaces and parentheses.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
