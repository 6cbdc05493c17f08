/**
 * The Debian packages that the tests and benchmarks measure against, and how a missing one is got.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";

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
  "git",
  "perl-base",
  "rsync",
  "vim-tiny",
  "openssh-server",
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
  "openssh-client",
  "gcc",
  "make",
  "libc6-dev",
  "dpkg-dev",
  "debhelper",
  "fakeroot",
  "ethtool",
  "liblwipv6-dev",
];

/** Services of these packages, which only the tests start, each with settings of its own. */
const SERVICES = { "openssh-server": ["ssh.service", "ssh.socket"] };

/** While this file says 101, a package that is installed starts no service (invoke-rc.d(8)). */
const SERVICE_POLICY = "/usr/sbin/policy-rc.d";

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

/** Python's own tests come with the version that is the distribution's. */
function pythonTests() {
  const depends = spawnSync("apt-cache", ["depends", "python3"], { encoding: "utf8" });
  const version = /Depends: python(3\.\d+)$/m.exec(depends.stdout ?? "")?.[1];
  return version === undefined ? [] : [`libpython${version}-testsuite`];
}

/** Performs an installation that starts no service, now or at the next start of the machine. */
function withoutServices(names, install) {
  const isOurs = !existsSync(SERVICE_POLICY);
  if (isOurs) writeFileSync(SERVICE_POLICY, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    return install();
  } finally {
    if (isOurs) rmSync(SERVICE_POLICY);
    const services = names.flatMap((name) => SERVICES[name] ?? []);
    if (services.length > 0) spawnSync("systemctl", ["disable", ...services]);
  }
}

/**
 * Installs what is missing when that is possible at all: as root, with apt-get. Never fails:
 * without a package its tests are skipped, and say so.
 * @param say called with one line for each thing done
 */
export function installPackages(say) {
  if (process.getuid?.() !== 0) return;
  installList(DEBIAN_PACKAGES, say);
  installList(pythonTests(), say);
}

function installList(names, say) {
  if (!existsSync("/usr/bin/apt-get")) return;
  const missing = missingPackages(names);
  if (missing === undefined || missing.length === 0) return;
  say(`installing Debian packages: ${missing.join(" ")}`);
  let updated = false;
  if (!hasPackageLists()) {
    apt(["update"], 300_000);
    updated = true;
  }
  const install = ["install", "-y", "--no-install-recommends"];
  const result = withoutServices(missing, () => {
    const first = apt([...install, ...missing], 1_200_000);
    if (first.status === 0) return first;
    if (!updated) {
      apt(["update"], 300_000);
      const second = apt([...install, ...missing], 1_200_000);
      if (second.status === 0) return second;
    }
    const some = offered(missing);
    return some.length > 0 ? apt([...install, ...some], 1_200_000) : first;
  });
  const still = missingPackages(missing) ?? missing;
  if (still.length === 0) return;
  const reason = (result.stderr ?? "").trim().split("\n").at(-1) ?? "";
  say(`not installed: ${still.join(" ")} (${reason}); the tests that need them will say so`);
}
