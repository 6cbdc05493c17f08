/**
 * `npm run conformance -- packetdrill BIN DIR`: runs every script of a directory against the stack
 * and prints "name: pass" or "name: fail" with the reason, by family, and a count. packetdrill and
 * its scripts are not part of this project: build them from github.com/google/packetdrill.
 */
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { V2Error } from "../../src/base/index.ts";
import { ADDRESSES, type HostOptions, PacketdrillHost } from "./packetdrill-host.ts";

const SHIM = fileURLToPath(
  new URL("../../../test/conformance/packetdrill-shim.c", import.meta.url),
);
const VERSIONS = ["ipv4", "ipv6", "ipv4-mapped-ipv6"] as const;
const LIMIT_MS = 8000;
const KERNEL_TOOLS = ["sysctl", "ip", "tc", "ethtool"];

interface Outcome {
  readonly isPass: boolean;
  readonly reason: string;
}

function scriptsOf(directory: string): string[] {
  if (statSync(directory).isFile()) return [directory];
  return readdirSync(directory, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".pkt"))
    .map((name) => join(directory, name))
    .sort();
}

async function runScript(
  program: string,
  script: string,
  version: HostOptions["version"],
  place: string,
): Promise<Outcome> {
  const socketPath = join(place, "socket");
  rmSync(socketPath, { force: true });
  const host = await PacketdrillHost.open({ socketPath, version });
  const shim = join(place, "shim.so");
  const local = version === "ipv6" ? ADDRESSES.local6 : ADDRESSES.local4;
  const words = [
    `--ip_version=${version}`,
    `--local_ip=${local}`,
    ...(version === "ipv6" ? ["--mtu=1520"] : []),
    "--tolerance_usecs=10000",
    `--so_filename=${shim}`,
    `--so_flags=${socketPath}`,
    script,
  ];
  const child = spawn(program, words, {
    cwd: dirname(script),
    // Settings of the kernel, which scripts make first, are not this stack's.
    env: { ...process.env, PATH: `${place}/bin:${process.env["PATH"]}`, LD_PRELOAD: shim },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let errors = "";
  child.stderr.on("data", (octets: Buffer) => (errors += octets.toString()));
  child.stdout.on("data", (octets: Buffer) => (errors += octets.toString()));
  const limit = setTimeout(() => child.kill("SIGKILL"), LIMIT_MS);
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) => {
    child.on("close", (exit, how) => resolve([exit, how]));
  });
  clearTimeout(limit);
  host.close();
  const last = errors.trim().split("\n").slice(-3).join(" | ").replaceAll(`${script}:`, "");
  const reason = signal === null ? last : `ended by ${signal}`;
  return { isPass: code === 0, reason };
}

/** @returns the process' exit code: 0 when every script passed. */
export async function packetdrill(words: readonly string[]): Promise<number> {
  const [program, directory, ...only] = words;
  if (program === undefined || directory === undefined) {
    throw new V2Error("USAGE", "packetdrill BIN DIR [ipv4|ipv6|ipv4-mapped-ipv6]…");
  }
  const place = mkdtempSync(join(tmpdir(), "v2-packetdrill-"));
  const counts = { pass: 0, fail: 0 };
  try {
    const shim = join(place, "shim.so");
    const cc = spawnSync("cc", ["-shared", "-fPIC", "-O1", "-o", shim, SHIM], { encoding: "utf8" });
    if (cc.status !== 0) {
      throw new V2Error("NO_COMPILER", `the shim cannot be compiled: ${cc.stderr ?? "no cc"}`, {
        remedy: "apt install gcc libc6-dev",
      });
    }
    mkdirSync(join(place, "bin"));
    for (const name of KERNEL_TOOLS) symlinkSync("/bin/true", join(place, "bin", name));
    const versions = only.length > 0 ? VERSIONS.filter((one) => only.includes(one)) : VERSIONS;
    for (const script of scriptsOf(directory)) {
      for (const version of versions) {
        const { isPass, reason } = await runScript(program, script, version, place);
        counts[isPass ? "pass" : "fail"]++;
        const name = `${relative(directory, script) || script} (${version})`;
        process.stdout.write(isPass ? `${name}: pass\n` : `${name}: fail: ${reason}\n`);
      }
    }
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
  process.stdout.write(`${counts.pass} passed, ${counts.fail} failed\n`);
  return counts.fail === 0 ? 0 : 1;
}
