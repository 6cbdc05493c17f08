/**
 * The Debian packages that the tests and benchmarks measure against, and how a missing one is got.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";

/** The one list. Without them everything works; the tests that need one say so and are skipped. */
export const DEBIAN_PACKAGES = [
  "vde2",
  "vdeplug",
  "libvdeplug-dev",
  "libvde-dev",
  "qemu-system-x86",
  "user-mode-linux",
  "squashfuse",
  "squashfs-tools",
  "fuse3",
  "libfuse3-dev",
  "pkg-config",
  "busybox-static",
  "procps",
  "python3",
  "fuse2fs",
  "e2fsprogs",
  "bubblewrap",
  "iproute2",
  "iputils-ping",
  "strace",
  "gdb",
  "curl",
  "socat",
  "tcpdump",
  "tshark",
  "tmux",
  "gcc",
  "make",
  "libc6-dev",
];

const APT_ENVIRONMENT = { ...process.env, DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C" };

function apt(words, timeoutMs) {
  return spawnSync("apt-get", ["-qq", "-o", "DPkg::Lock::Timeout=300", ...words], {
    env: APT_ENVIRONMENT,
    stdio: ["ignore", "pipe", "pipe"],
    encoding: "utf8",
    timeout: timeoutMs,
  });
}

/** Names of the list that dpkg does not know as installed; undefined where there is no dpkg. */
export function missingPackages(names = DEBIAN_PACKAGES) {
  const query = spawnSync(
    "dpkg-query",
    ["-W", "-f", "${Package} ${db:Status-Status}\n", ...names],
    {
      encoding: "utf8",
    },
  );
  if (query.error !== undefined) return undefined;
  const installed = new Set(
    query.stdout
      .split("\n")
      .filter((line) => line.endsWith(" installed"))
      .map((line) => line.slice(0, line.indexOf(" "))),
  );
  return names.filter((name) => !installed.has(name));
}

/** Package lists were fetched before: `apt-get update` is needed only without them. */
function hasPackageLists() {
  const folder = "/var/lib/apt/lists";
  return existsSync(folder) && readdirSync(folder).some((name) => name.endsWith("_Packages"));
}

/** Those of `names` that the configured sources offer. */
function offered(names) {
  const policy = spawnSync("apt-cache", ["policy", ...names], {
    env: APT_ENVIRONMENT,
    encoding: "utf8",
  });
  if (policy.status !== 0) return [];
  const found = [];
  let name = "";
  for (const line of policy.stdout.split("\n")) {
    if (/^\S+:$/.test(line)) name = line.slice(0, -1);
    else if (/^\s+Candidate: (?!\(none\))/.test(line)) found.push(name);
  }
  return found;
}

/**
 * Installs what is missing when that is possible at all: as root, with apt-get. Never fails:
 * without a package its tests are skipped, and say so.
 * @param say called with one line for each thing done
 */
export function installPackages(say) {
  if (process.getuid?.() !== 0) return;
  const missing = missingPackages();
  if (missing === undefined || missing.length === 0) return;
  if (!existsSync("/usr/bin/apt-get")) return;
  say(`installing Debian packages: ${missing.join(" ")}`);
  let updated = false;
  if (!hasPackageLists()) {
    apt(["update"], 300_000);
    updated = true;
  }
  const install = ["install", "-y", "--no-install-recommends"];
  let result = apt([...install, ...missing], 1_200_000);
  if (result.status !== 0 && !updated) {
    apt(["update"], 300_000);
    result = apt([...install, ...missing], 1_200_000);
  }
  if (result.status !== 0) {
    const some = offered(missing);
    if (some.length > 0) result = apt([...install, ...some], 1_200_000);
  }
  const still = missingPackages() ?? missing;
  if (still.length === 0) return;
  const reason = (result.stderr ?? "").trim().split("\n").at(-1) ?? "";
  say(`not installed: ${still.join(" ")} (${reason}); the tests that need them will say so`);
}
