/** What a guest boots: a kernel of Debian and a first root file system of busybox. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { archive, CHARACTER_DEVICE, DIRECTORY, FILE, type Member, PROGRAM } from "./cpio.ts";

/** Where scripts/guest-kernel.mjs puts `vmlinuz` and the modules of Debian's cloud kernel. */
const KERNEL_FOLDER = "/var/cache/virtualsquare/guest-kernel";
const BUSYBOX = "/bin/busybox";

/** Printed by a guest that is ready for commands. */
export const READY = "guest is ready";
/** Printed with the exit status behind each command's output. */
export const DONE = "guest command ended:";

/** The kernel for a PC, or why there is none. */
export function guestKernel(): { readonly path: string } | { readonly missing: string } {
  const path = join(KERNEL_FOLDER, "vmlinuz");
  if (existsSync(path)) return { path };
  const how = "as root on Debian: node scripts/setup.mjs --packages";
  return { missing: `needs a guest kernel in ${KERNEL_FOLDER}: ${how}` };
}

/**
 * Commands come as lines on the console, so that a test reads as a dialogue. Messages of the kernel
 * stay out of it.
 */
function initScript(modules: readonly string[]): string {
  return `#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc none /proc
mount -t sysfs none /sys
dmesg -n 1
# An IPv6 address is good at once: nobody else has it here.
for which in all default; do echo 0 > /proc/sys/net/ipv6/conf/$which/accept_dad; done
stty -echo -onlcr
${modules.map((name) => `insmod /modules/${name}`).join("\n")}
ip link set lo up
echo "${READY}"
while read -r line; do
  eval "$line" 2>&1
  echo "${DONE} $?"
done
poweroff -f
`;
}

/**
 * Writes the first root file system of a guest.
 * @param path the file to write.
 * @param modules kernel modules to load, without those that they need; none for a kernel that has
 *   everything built in.
 */
export function writeImage(path: string, modules: readonly string[]): void {
  const files = withDependencies(modules);
  const members: Member[] = ["bin", "dev", "modules", "proc", "sys"].map((name) => ({
    name,
    mode: DIRECTORY,
  }));
  const console = [5, 1] as const;
  members.push(
    { name: "dev/console", mode: CHARACTER_DEVICE, device: console },
    { name: "init", mode: PROGRAM, data: Buffer.from(initScript(files)) },
    { name: "bin/busybox", mode: PROGRAM, data: readFileSync(BUSYBOX) },
    ...files.map((name) => ({ name: `modules/${name}`, mode: FILE, data: moduleOctets(name) })),
  );
  writeFileSync(path, archive(members));
}

function moduleOctets(name: string): Buffer {
  return readFileSync(join(KERNEL_FOLDER, "modules", name));
}

/** Files of the modules, those that others need first. */
function withDependencies(modules: readonly string[]): readonly string[] {
  const files: string[] = [];
  const add = (name: string): void => {
    const file = `${name}.ko`;
    if (files.includes(file)) return;
    for (const needed of dependencies(moduleOctets(file))) add(needed);
    files.push(file);
  };
  for (const name of modules) add(name);
  return files;
}

/** What a module needs: "depends=A,B" in its `.modinfo` section, ended by a zero octet. */
function dependencies(octets: Buffer): readonly string[] {
  const label = "depends=";
  const start = octets.indexOf(label);
  if (start < 0) return [];
  const list = octets.toString("latin1", start + label.length, octets.indexOf(0, start));
  return list === "" ? [] : list.split(",");
}
