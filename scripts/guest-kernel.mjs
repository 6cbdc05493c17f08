/**
 * The kernel that virtual machines of the tests boot: Debian's kernel for clouds, the smallest with
 * virtio cards. It is fetched and unpacked, not installed: an installation would make a boot menu
 * and an initial RAM disk for this machine. 27 MB to fetch, 15 MB kept.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** Holds `vmlinuz` and `modules/NAME.ko`; known to test/interop/guests/image.ts too. */
const KERNEL_FOLDER = "/var/cache/virtualsquare/guest-kernel";

/** The package that depends on the newest version. */
const META_PACKAGE = "linux-image-cloud-amd64";

/** Parts of the package that a guest needs: the kernel, virtio cards, VLANs. */
const WANTED = [
  "./boot/vmlinuz-*",
  "*/virtio*.ko",
  "*/failover.ko",
  "*/net_failover.ko",
  "*/802/*.ko",
  "*/8021q.ko",
  "*/llc.ko",
];

const FETCH_LIMIT_MS = 600_000;

function run(program, words, cwd) {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C" };
  const settings = { cwd, env, encoding: "utf8", timeout: FETCH_LIMIT_MS };
  const result = spawnSync(program, words, settings);
  if (result.status === 0) return result.stdout;
  const reason = (result.stderr ?? String(result.error)).trim().split("\n").at(-1);
  throw new Error(`${program}: ${reason}`);
}

/** The package of the newest version: what the meta package depends on. */
function newestPackage() {
  const found = /Depends: (linux-image-\S+)/.exec(run("apt-cache", ["depends", META_PACKAGE]));
  if (found === null) throw new Error(`${META_PACKAGE} names no kernel`);
  return found[1];
}

function download(folder) {
  // The package lists may be older than the archive, or missing.
  try {
    run("apt-get", ["-qq", "download", newestPackage()], folder);
  } catch {
    run("apt-get", ["-qq", "-o", "DPkg::Lock::Timeout=300", "update"], folder);
    run("apt-get", ["-qq", "download", newestPackage()], folder);
  }
  return readdirSync(folder).find((name) => name.endsWith(".deb"));
}

function unpack(folder, packageFile) {
  const words = WANTED.map((pattern) => `'${pattern}'`).join(" ");
  const tar = `tar -x --wildcards --no-anchored ${words}`;
  run("sh", ["-c", `dpkg-deb --fsys-tarfile '${packageFile}' | ${tar}`], folder);
  const kept = join(folder, "kept");
  mkdirSync(join(kept, "modules"), { recursive: true });
  const [kernel] = readdirSync(join(folder, "boot"));
  renameSync(join(folder, "boot", kernel), join(kept, "vmlinuz"));
  const modules = run("find", ["lib", "-name", "*.ko"], folder).trim().split("\n");
  for (const path of modules) {
    const name = path.slice(path.lastIndexOf("/") + 1);
    renameSync(join(folder, path), join(kept, "modules", name));
  }
  return kept;
}

/**
 * Fetches the kernel when that is possible at all: as root, on Debian for x86-64, once. Never
 * fails: without it the tests of virtual machines are skipped, and say so.
 * @param say called with one line for each thing done
 */
export function fetchGuestKernel(say) {
  if (process.getuid?.() !== 0 || process.arch !== "x64") return;
  if (existsSync(join(KERNEL_FOLDER, "vmlinuz")) || !existsSync("/usr/bin/apt-get")) return;
  say("fetching a kernel for virtual machines");
  const folder = mkdtempSync(join(tmpdir(), "v2-kernel-"));
  try {
    const kept = unpack(folder, download(folder));
    mkdirSync(dirname(KERNEL_FOLDER), { recursive: true, mode: 0o755 });
    run("chmod", ["-R", "a+rX", kept]);
    rmSync(KERNEL_FOLDER, { recursive: true, force: true });
    run("mv", [kept, KERNEL_FOLDER]);
  } catch (error) {
    say(`no kernel for virtual machines (${error.message}); the tests that need it will say so`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
