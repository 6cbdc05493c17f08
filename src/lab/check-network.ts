/** Checks of the first square that use its network. */
import { type ChildProcess, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Check, expect, needs, succeed } from "./check-support.ts";

const FILE_OCTETS = 64 * 1024 * 1024;
const HTTP_PORT = 8080;
const START_LIMIT_MS = 10_000;
/** In alice's network, and nobody's: a question for it goes to every port of the switch. */
const UNUSED_ADDRESS = "10.77.0.250";
const ETHERTYPE_ARP = 0x0806;

export const pingCheck: Check = {
  name: "alice pings bob by name, IPv4 and IPv6",
  async run(lab) {
    needs("ping", "iputils-ping");
    const times: string[] = [];
    for (const family of ["-4", "-6"]) {
      const argv = ["ping", family, "-c", "3", "-i", "0.2", "-W", "3", "bob"];
      const text = await succeed(lab, "alice", argv);
      expect(text.includes(" 3 received"), `ping ${family} bob: ${text.split("\n").at(-3)}`);
      times.push(/= [\d.]+\/([\d.]+)/.exec(text)?.[1] ?? "?");
    }
    return `average ${times.join(" and ")} ms`;
  },
};

const SERVER = `
const { createReadStream } = require("node:fs");
require("node:http").createServer((request, response) => {
  createReadStream(process.argv[1]).pipe(response);
}).listen(Number(process.argv[2]), "::", () => console.log("listening"));`;

const CLIENT = `
const hash = require("node:crypto").createHash("sha256"); let octets = 0;
require("node:http").get(process.argv[1], (response) => {
  response.on("data", (chunk) => { hash.update(chunk); octets += chunk.length; });
  response.on("end", () => console.log(octets + " " + hash.digest("hex")));
});`;

export const httpCheck: Check = {
  name: "alice fetches 64 MiB over HTTP from bob",
  async run(lab) {
    const file = join(lab.directory, "64MiB");
    const content = randomBytes(FILE_OCTETS);
    writeFileSync(file, content);
    const digest = createHash("sha256").update(content).digest("hex");
    const argv = [process.execPath, "-e", SERVER, file, String(HTTP_PORT)];
    const server = lab.view("bob").spawn(argv, { stdio: ["ignore", "pipe", "inherit"] });
    try {
      await firstOutput(server, "bob's HTTP server");
      const started = performance.now();
      const url = `http://bob:${HTTP_PORT}/`;
      const text = await succeed(lab, "alice", [process.execPath, "-e", CLIENT, url]);
      const seconds = (performance.now() - started) / 1000;
      expect(text.trim() === `${FILE_OCTETS} ${digest}`, `alice got ${text.trim()}`);
      return `SHA-256 equal, ${Math.round((FILE_OCTETS * 8) / seconds / 1e6)} Mb/s`;
    } finally {
      server.kill();
      rmSync(file, { force: true });
    }
  },
};

const CAROL_FETCHES = 3;

export const stackCheck: Check = {
  name: "alice and bob ping carol, a stack in TypeScript, and fetch from her",
  async run(lab) {
    needs("ping", "iputils-ping");
    const text = "I am carol";
    let octets = 0;
    for (const node of ["alice", "bob"]) {
      for (const family of ["-4", "-6"]) {
        const argv = ["ping", family, "-c", "2", "-i", "0.2", "-W", "3", "carol"];
        const answer = await succeed(lab, node, argv);
        expect(answer.includes(" 2 received"), `${node}: ping ${family} carol`);
      }
      for (let i = 0; i < CAROL_FETCHES; i++) {
        const got = await succeed(lab, node, [process.execPath, "-e", FETCH, "http://carol/"]);
        expect(got.includes(text), `${node} got '${got.slice(0, 60)}'`);
        octets += got.length;
      }
    }
    return `pings of both families answered, ${octets} octets fetched`;
  },
};

const FETCH = `
require("node:http").get(process.argv[1], (response) => response.pipe(process.stdout));`;

export const debianPlugCheck: Check = {
  name: "Debian's vde_plug reads alice's traffic on the switch",
  async run(lab) {
    needs("vde_plug", "vde2");
    const plan = lab.topology.views.find((view) => view.name === "alice")?.interfaces[0];
    const one = lab.switches.get(plan?.switch ?? "");
    expect(plan !== undefined && one !== undefined, "alice has no switch");
    const plug = spawn("vde_plug", [one.directory], { stdio: ["pipe", "pipe", "ignore"] });
    const asking = lab
      .view("alice")
      .spawn(["ping", "-c", "25", "-i", "0.2", "-W", "1", UNUSED_ADDRESS], { stdio: "ignore" });
    try {
      const count = await arpFrames(plug, plan.mac);
      expect(count > 0, "no ARP request of alice arrived at vde_plug");
      return `ARP requests from ${plan.mac} arrived`;
    } finally {
      asking.kill();
      plug.kill();
    }
  },
};

/**
 * Frames on vde_plug's output (16 bit length, frame) that are ARP from a MAC; waits for the first.
 */
async function arpFrames(plug: ChildProcess, mac: string): Promise<number> {
  let octets = Buffer.alloc(0);
  let found = 0;
  const search = (chunk: Buffer): boolean => {
    octets = Buffer.concat([octets, chunk]);
    while (octets.length >= 2 && octets.length >= 2 + octets.readUInt16BE(0)) {
      const frame = octets.subarray(2, 2 + octets.readUInt16BE(0));
      octets = octets.subarray(2 + frame.length);
      const isArp = frame.length >= 14 && frame.readUInt16BE(12) === ETHERTYPE_ARP;
      if (isArp && frame.toString("hex", 6, 12) === mac.replaceAll(":", "")) found++;
    }
    return found > 0;
  };
  await new Promise<void>((resolve) => {
    const limit = setTimeout(resolve, START_LIMIT_MS);
    const stop = (): void => {
      clearTimeout(limit);
      resolve();
    };
    plug.stdout!.on("data", (chunk: Buffer) => {
      if (search(chunk)) stop();
    });
    plug.on("exit", stop);
  });
  return found;
}

/** Waits for a program's first output. */
async function firstOutput(child: ChildProcess, name: string): Promise<void> {
  const ended = once(child, "exit").then(([code]) => `ended with ${code as number | null}`);
  const late = new Promise<string>((resolve) => {
    setTimeout(() => resolve("does not start"), START_LIMIT_MS).unref();
  });
  const problem = await Promise.race([
    once(child.stdout!, "data").then(() => undefined),
    ended,
    late,
  ]);
  expect(problem === undefined, `${name} ${problem}`);
}
