/** Checks of the first square that look at its views as systems: mounts, images, identity. */
import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Check, expect, needs, NotApplicable, succeed } from "./check-support.ts";
import { probeFuse } from "../sys/index.ts";
import type { Lab } from "./lab.ts";

const V2 = fileURLToPath(new URL("../cli/main.js", import.meta.url));
const NOTE = "a note inside the image";

export const mountCheck: Check = {
  name: "alice mounts a tmpfs and a bind that nobody else sees",
  async run(lab) {
    const base = join(lab.directory, "mounts");
    const [source, bind, memory] = ["source", "bind", "memory"].map((name) => join(base, name));
    for (const directory of [source!, bind!, memory!]) mkdirSync(directory, { recursive: true });
    writeFileSync(join(source!, "file"), NOTE);
    await vumount(lab, ["-t", "tmpfs", "none", memory!]);
    await vumount(lab, ["-B", source!, bind!]);
    await succeed(lab, "alice", ["/bin/sh", "-c", `echo x > "${memory}/file"`]);
    expect((await succeed(lab, "alice", ["cat", `${bind}/file`])) === NOTE, "the bind is empty");
    await succeed(lab, "alice", ["test", "-s", `${memory}/file`]);
    const seenByBob = await succeed(lab, "bob", ["ls", "-A", bind!, memory!]);
    expect(!seenByBob.includes("file"), `bob sees ${seenByBob}`);
    const seenByHost = [bind!, memory!].flatMap((directory) => readdirSync(directory));
    expect(seenByHost.length === 0, `the host sees ${seenByHost.join(" ")}`);
    return "bob and the host see empty directories";
  },
};

async function vumount(lab: Lab, words: readonly string[]): Promise<void> {
  await succeed(lab, "alice", [process.execPath, V2, "vumount", ...words]);
}

export const imageCheck: Check = {
  name: "alice mounts a file-system image with its unmodified FUSE server",
  async run(lab) {
    needsFuse();
    const content = join(lab.directory, "content");
    const mount = join(lab.directory, "image");
    mkdirSync(content);
    mkdirSync(mount);
    writeFileSync(join(content, "note"), NOTE);
    copyFileSync("/bin/echo", join(content, "program"));
    chmodSync(join(content, "program"), 0o755);
    const { file, server } = makeImage(content, join(lab.directory, "disk"));
    await lab.mountImage("alice", { file, mount });
    expect((await succeed(lab, "alice", ["cat", `${mount}/note`])) === NOTE, "the note differs");
    const said = await succeed(lab, "alice", [`${mount}/program`, "hello"]);
    expect(said === "hello\n", `the program said '${said.trim()}'`);
    expect(readdirSync(mount).length === 0, "the host sees the image too");
    return `${server}: read a file, ran a program`;
  },
};

/** FUSE servers need the device, for reading and writing. */
function needsFuse(): void {
  const { works, detail, remedy } = probeFuse();
  if (!works) throw new NotApplicable(`needs /dev/fuse (${detail}): ${remedy}`);
}

/** An image of a directory, in the first format that can be both made and served here. */
function makeImage(content: string, path: string): { file: string; server: string } {
  const kinds = [
    { server: "squashfuse", maker: ["mksquashfs", content, `${path}.squashfs`, "-quiet"] },
    {
      server: "fuse2fs",
      maker: ["mke2fs", "-q", "-t", "ext4", "-d", content, `${path}.ext4`, "8M"],
    },
  ];
  // mke2fs is a tool of the superuser, but everybody may format a file.
  const searched = `${process.env["PATH"]}:/sbin:/usr/sbin`;
  const made = kinds.find(({ server, maker }) => {
    if (spawnSync("/bin/sh", ["-c", `command -v ${server}`]).status !== 0) return false;
    const [program, ...words] = maker;
    return spawnSync(program!, words, { env: { ...process.env, PATH: searched } }).status === 0;
  });
  if (made === undefined) {
    throw new NotApplicable("needs an image and its server: apt install squashfs-tools squashfuse");
  }
  const file = made.server === "squashfuse" ? `${path}.squashfs` : `${path}.ext4`;
  return { file, server: made.server };
}

export const identityCheck: Check = {
  name: "uname, hostname and id inside the views are the views' own",
  async run(lab) {
    const seen: string[] = [];
    for (const { name, root } of lab.topology.views) {
      const kernelName = (await succeed(lab, name, ["uname", "-n"])).trim();
      expect(
        kernelName === name && kernelName !== hostname(),
        `uname -n in ${name}: ${kernelName}`,
      );
      needs("hostname", "hostname");
      const hostName = (await succeed(lab, name, ["hostname"])).trim();
      expect(hostName === name, `hostname in ${name}: ${hostName}`);
      const uid = (await succeed(lab, name, ["id", "-u"])).trim();
      const expected = root ? "0" : String(process.getuid?.());
      expect(uid === expected, `id -u in ${name}: ${uid}, not ${expected}`);
      seen.push(`${name} uid ${uid}`);
    }
    return seen.join(", ");
  },
};
