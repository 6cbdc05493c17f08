/** The command line of `v2 switch` as settings of the switch. Options of vde_switch(1). */
import { resolve } from "node:path";
import { V2Error } from "../base/index.ts";
import { MANAGEMENT_MODE_DEFAULT, managementPath, type VdeServerOptions } from "../plugs/index.ts";
import { Accounts } from "../sys/index.ts";
import type { Invocation } from "./command.ts";

const METRICS_INTERVAL_SECONDS = 10;

/** The management socket that the options ask for. */
export interface ManagementSocket {
  readonly path: string;
  readonly mode: number;
  readonly group?: number;
}

/** What the options say of the switch. @throws V2Error USAGE, exit code 1. */
export function serverOptions(options: Invocation["options"]): VdeServerOptions {
  const isSuperuser = process.getuid?.() === 0;
  const directory = ["sock", "vdesock", "unix"].map((name) => options[name]).find(isText);
  const mode = octal(options, "mode");
  const directoryMode = octal(options, "dirmode");
  const ports = count(options, "numports", 4096);
  const tableSize = count(options, "hashsize", 1 << 20);
  const priority = count(options, "priority", 65_535, 0);
  const group = options["group"] as string | undefined;
  const mac = macAddress(options["macaddr"] as string | undefined);
  const management = managementOptions(options);
  return {
    directory: resolve(directory ?? (isSuperuser ? "/var/run/vde.ctl" : "/tmp/vde.ctl")),
    isHub: options["hub"] === true,
    log: (line) => process.stderr.write(`v2 switch: ${line}\n`),
    ...(mode === undefined ? {} : { mode }),
    ...(directoryMode === undefined ? {} : { directoryMode }),
    ...(ports === undefined ? {} : { ports }),
    ...(tableSize === undefined ? {} : { tableSize }),
    ...(priority === undefined ? {} : { priority }),
    ...(mac === undefined ? {} : { mac }),
    ...(management === undefined ? {} : { managementSocket: management }),
    ...(group === undefined ? {} : { group: groupId(group) }),
  };
}

/** @returns undefined without --mgmt. */
export function managementOptions(options: Invocation["options"]): ManagementSocket | undefined {
  const group = options["mgmtgroup"] as string | undefined;
  const groupNumber = group === undefined ? undefined : groupId(group, "mgmtgroup");
  const mode = octal(options, "mgmtmode") ?? MANAGEMENT_MODE_DEFAULT;
  const path = options["mgmt"];
  if (!isText(path)) return undefined;
  const socket = { path: managementPath(resolve(path)), mode };
  return groupNumber === undefined ? socket : { ...socket, group: groupNumber };
}

/** The file of counters that the options ask for. @returns undefined without --metrics-file. */
export function metricsOptions(
  options: Invocation["options"],
): { readonly path: string; readonly intervalMs: number } | undefined {
  const seconds = count(options, "metrics-interval", 86_400) ?? METRICS_INTERVAL_SECONDS;
  const path = options["metrics-file"];
  return isText(path) ? { path: resolve(path), intervalMs: seconds * 1000 } : undefined;
}

/** Number of a group named as in /etc/group, or given as a number. */
function groupId(name: string, option = "group"): number {
  if (/^\d+$/.test(name)) return Number(name);
  const id = new Accounts().groupId(name);
  if (id === undefined) throw usage(`--${option}: no group '${name}'`);
  return id;
}

/** "2.0.0.0.0.1" or with colons. @returns it as "02:00:00:00:00:01". */
function macAddress(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  if (!/^[\da-f]{1,2}([:.][\da-f]{1,2}){5}$/i.test(text)) {
    throw usage(`--macaddr: '${text}' is no MAC address`);
  }
  const octets = text.toLowerCase().split(/[:.]/);
  return octets.map((octet) => octet.padStart(2, "0")).join(":");
}

function octal(options: Invocation["options"], name: string): number | undefined {
  const text = options[name];
  if (!isText(text)) return undefined;
  if (!/^[0-7]{1,4}$/.test(text)) throw usage(`--${name}: '${text}' is no octal mode`);
  return Number.parseInt(text, 8);
}

function count(
  options: Invocation["options"],
  name: string,
  max: number,
  min = 1,
): number | undefined {
  const text = options[name];
  if (!isText(text)) return undefined;
  const value = Number(text);
  if (!Number.isInteger(value) || value < min || value > max) {
    throw usage(`--${name}: '${text}' is not a number from ${min} to ${max}`);
  }
  return value;
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

/** Values of an option that may be given several times. */
export function list(value: Invocation["options"][string]): readonly string[] {
  if (value === undefined || typeof value === "boolean") return [];
  return typeof value === "string" ? [value] : value;
}

/** A wrong option ends with 1, as vde_switch's. */
export function usage(message: string): V2Error {
  return new V2Error("USAGE", message, { remedy: "see: v2 switch --help" });
}
