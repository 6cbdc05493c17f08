/**
 * What the kernel's own settings forbid: read before every start of a view, and by `v2 doctor` to
 * name the setting behind a refusal.
 */
import { readFileSync } from "node:fs";

/** Value of a kernel parameter, e.g. "user.max_user_namespaces"; undefined: it does not exist. */
export function kernelParameter(name: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/${name.replaceAll(".", "/")}`, "utf8").trim();
  } catch {
    return undefined;
  }
}

const sysctl = (name: string, value: string): string =>
  `sudo sysctl -w ${name}=${value}, and '${name}=${value}' in /etc/sysctl.d/60-v2.conf to keep it`;

/**
 * The AppArmor profile that gives one program the user namespaces back.
 * @param program absolute path of the node in use
 */
export function appArmorProfile(program: string): string {
  return [
    "abi <abi/4.0>,",
    "include <tunables/global>",
    `profile v2-node ${program} flags=(unconfined) {`,
    "  userns,",
    "}",
  ].join("\n");
}

/** What the judgement on user namespaces rests on; tests imagine other machines. */
export interface HostSettings {
  readonly parameter: (name: string) => string | undefined;
  /** AppArmor label of this process: "unconfined", or the profile that covers this program. */
  readonly label: string | undefined;
  readonly isRoot: boolean;
}

function ownLabel(): string | undefined {
  try {
    return readFileSync("/proc/self/attr/current", "utf8").replaceAll("\0", "").trim();
  } catch {
    return undefined;
  }
}

function thisHost(): HostSettings {
  return {
    parameter: kernelParameter,
    label: ownLabel(),
    isRoot: process.getuid?.() === 0,
  };
}

/** A namespace that a view is made of, as the kernel abbreviates it. */
export type ViewNamespace = "user" | "mnt" | "uts" | "net";

/** What the settings forbid and how to allow it. */
export interface Refusal {
  /** "user namespaces". */
  readonly what: string;
  readonly reason: string;
  readonly remedy: string;
}

const NAMES: { readonly [kind in ViewNamespace]: string } = {
  user: "user namespaces",
  mnt: "mount namespaces",
  uts: "host name (UTS) namespaces",
  net: "network namespaces",
};

/** A limit that allows none, or, when the kernel has said so, all of them in use. */
function limitRefusal(
  kind: ViewNamespace,
  parameter: HostSettings["parameter"],
  isReached: boolean,
): Refusal | undefined {
  const limit = `user.max_${kind}_namespaces`;
  const value = parameter(limit);
  if (value !== "0" && !isReached) return undefined;
  const reason = value === "0" ? `${limit} is 0` : `all of ${limit} (${value}) are in use`;
  const wanted = Math.max(15_000, 2 * Number(value ?? 0));
  return { what: NAMES[kind], reason, remedy: sysctl(limit, String(wanted)) };
}

/**
 * Why a kind of namespace is refused, from the kernel's own settings; undefined: no setting forbids
 * it. A few file reads: cheap enough before every start of a view.
 * @param isReached the kernel has just said ENOSPC: the limit is what refuses.
 */
export function namespaceRefusal(
  kind: ViewNamespace,
  { parameter, label, isRoot }: HostSettings = thisHost(),
  isReached = false,
): Refusal | undefined {
  const limit = limitRefusal(kind, parameter, isReached);
  if (limit !== undefined || kind !== "user" || isRoot) return limit;
  const clone = "kernel.unprivileged_userns_clone";
  const apparmor = "kernel.apparmor_restrict_unprivileged_userns";
  const what = NAMES.user;
  if (parameter(clone) === "0") {
    return { what, reason: `${clone} is 0`, remedy: sysctl(clone, "1") };
  }
  // A profile of its own, such as the one below, frees a program from the restriction.
  if (parameter(apparmor) === "1" && label === "unconfined") {
    return {
      what,
      reason: `AppArmor restricts them (${apparmor} is 1)`,
      remedy:
        `write this to /etc/apparmor.d/v2-node and run 'sudo apparmor_parser -r ` +
        `/etc/apparmor.d/v2-node', or: ${sysctl(apparmor, "0")}\n` +
        appArmorProfile(process.execPath),
    };
  }
  return undefined;
}

/** The first refusal of what a view needs. @param network it has a network of its own. */
export function viewRefusal(network: boolean): Refusal | undefined {
  const host = thisHost();
  const kinds: readonly ViewNamespace[] = [
    "user",
    "mnt",
    "uts",
    ...(network ? ["net" as const] : []),
  ];
  for (const kind of kinds) {
    const refusal = namespaceRefusal(kind, host);
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}
