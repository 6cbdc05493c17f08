/**
 * A running lab: its switches and views, started in this order and closed in the other one. When a
 * part dies by itself the lab says so, removes what the part has left, and goes on with the rest.
 */
import type { ChildProcess } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { V2Error } from "../base/index.ts";
import { View } from "../engine/index.ts";
import { hostsFile } from "./hosts.ts";
import { imageServer } from "./image.ts";
import { claimLab, forgetLab, switchDirectory, viewName } from "./state.ts";
import { SwitchProcess } from "./switch-process.ts";
import { serveDirectory, StackHost } from "../plugs/index.ts";
import type { ImageMount, StackNode, Topology, ViewNode } from "./topology.ts";

const IMAGE_WAIT_MS = 10_000;
const IMAGE_POLL_MS = 50;
/** Of the web servers of stacks. */
const WEB_PORT = 80;
/** A start-up command that runs longer is left behind as an error. */
const EXEC_LIMIT_MS = 120_000;

export interface LabOptions {
  /** Takes one line for people: what happens, what has died. */
  readonly say: (line: string) => void;
}

/** A running topology: its switches and views; disposing of it leaves nothing behind. */
export class Lab implements AsyncDisposable {
  readonly topology: Topology;
  /** The lab's private directory. */
  readonly directory: string;
  readonly switches = new Map<string, SwitchProcess>();
  readonly views = new Map<string, View>();
  readonly stacks = new Map<string, StackHost>();
  readonly #servers: AsyncDisposable[] = [];
  /** Resolves when no part is left. */
  readonly ended: Promise<void>;
  readonly #say: (line: string) => void;
  #end: () => void = () => {};
  #closing: Promise<void> | undefined;

  private constructor(topology: Topology, directory: string, options: LabOptions) {
    this.topology = topology;
    this.directory = directory;
    this.#say = options.say;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /** Starts everything; after a failure nothing is left. */
  static async up(topology: Topology, options: LabOptions): Promise<Lab> {
    const lab = new Lab(topology, claimLab(topology), options);
    try {
      for (const node of topology.switches) {
        const directory = switchDirectory(topology.name, node.name);
        lab.#keepSwitch(await SwitchProcess.start(node, directory));
      }
      const hosts = join(lab.directory, "hosts");
      writeFileSync(hosts, hostsFile(topology, readHosts()), { mode: 0o644 });
      // One after the other: a failure then has one name, and nothing is half made.
      for (const node of topology.views) await lab.#startView(node, hosts);
      for (const node of topology.stacks) await lab.#startStack(node);
      return lab;
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  /** The view of a node. @throws V2Error when it is not there or dead. */
  view(node: string): View {
    const view = this.views.get(node);
    if (view !== undefined) return view;
    throw new V2Error("NO_NODE", `lab '${this.topology.name}' has no running view '${node}'`, {
      remedy: `its views: ${[...this.views.keys()].join(", ")}`,
    });
  }

  /** Environment of programs in a node's view: ours, and what the topology adds. */
  environment(node: string): NodeJS.ProcessEnv {
    const own = this.topology.views.find((view) => view.name === node)?.env ?? {};
    return { ...process.env, ...own };
  }

  /**
   * Mounts an image in a view with the unmodified FUSE server of its format, and waits until it is
   * there. The server ends with the view.
   */
  async mountImage(node: string, image: ImageMount): Promise<void> {
    const view = this.view(node);
    const { argv, package: needed } = imageServer(image);
    const server = view.spawn(argv, { stdio: ["ignore", "ignore", "pipe"] });
    await mounted(view, server, image.mount, needed);
  }

  /** Ends all views and switches and removes what they had; idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#closeAll();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #closeAll(): Promise<void> {
    await Promise.all(this.#servers.map((one) => one[Symbol.asyncDispose]()));
    await Promise.all([...this.stacks.values()].map((stack) => stack.close()));
    await Promise.all([...this.views.values()].map((view) => view.close()));
    await Promise.all([...this.switches.values()].map((one) => one.close()));
    forgetLab(this.topology.name);
    this.#end();
  }

  async #startView(node: ViewNode, hosts: string): Promise<void> {
    const { name } = node;
    const view = await View.create({
      name: viewName(this.topology.name, name),
      hostName: name,
      root: node.root,
      leftovers: this.directory,
      net: node.interfaces.map((one) => ({
        switch: switchAddress(this.topology.name, one.switch, one.port),
        interface: one.name,
        addresses: one.addresses,
        mac: one.mac,
        via: one.via,
        ...(one.mtu === undefined ? {} : { mtu: one.mtu }),
        ...(one.gateway === undefined ? {} : { gateway: one.gateway }),
      })),
      mounts: [`bind:${hosts.replace(/[:\\]/g, "\\$&")}:/etc/hosts`, ...node.mounts],
    });
    this.#keepView(name, view);
    if (node.image !== undefined) await this.mountImage(name, node.image);
    for (const command of node.exec) await this.#runStartUp(name, view, command);
  }

  async #startStack(node: StackNode): Promise<void> {
    const { name, interface: plan } = node;
    const words = [
      `vnl=${switchAddress(this.topology.name, plan.switch, plan.port)}`,
      `iface=${/\d$/.test(plan.name) ? plan.name : `${plan.name}0`}`,
      `mac=${plan.mac}`,
      ...plan.addresses.map((address) => `ip=${address}`),
      ...(plan.gateway === undefined ? [] : [`gw=${plan.gateway}`]),
      ...(plan.mtu === undefined ? [] : [`mtu=${plan.mtu}`]),
    ];
    const stack = await StackHost.open(words.join(","), { name });
    this.stacks.set(name, stack);
    if (node.serve !== undefined) {
      this.#servers.push(serveDirectory(stack.sockets, node.serve, WEB_PORT));
    }
    void stack.gone.then(async () => {
      if (this.#closing !== undefined) return;
      this.#say(`stack ${name} has lost its cable`);
      this.stacks.delete(name);
      await stack.close();
    });
  }

  async #runStartUp(node: string, view: View, command: string): Promise<void> {
    const options = { env: this.environment(node), timeoutMs: EXEC_LIMIT_MS };
    const { code, signal, stdout, stderr } = await view.run(["/bin/sh", "-c", command], options);
    for (const line of `${stdout}${stderr}`.split("\n")) {
      if (line !== "") this.#say(`${node}: ${line}`);
    }
    if (code !== 0) this.#say(`${node}: '${command}' ended with ${signal ?? code}`);
  }

  #keepSwitch(one: SwitchProcess): void {
    this.switches.set(one.name, one);
    void one.ended.then(async (how) => {
      if (this.#closing !== undefined) return;
      this.#say(`switch ${one.name} has died (${how}); its cables are unplugged`);
      this.switches.delete(one.name);
      await one.close();
      this.#checkEnd();
    });
  }

  #keepView(node: string, view: View): void {
    this.views.set(node, view);
    void view.ended.then(async () => {
      if (this.#closing !== undefined) return;
      this.#say(`view ${node} has ended; its processes and mounts are gone`);
      this.views.delete(node);
      await view.close();
      this.#checkEnd();
    });
  }

  #checkEnd(): void {
    if (this.views.size === 0 && this.switches.size === 0) this.#end();
  }
}

/** VNL of a port of a switch of the lab. */
function switchAddress(lab: string, name: string, port: number | undefined): string {
  const directory = switchDirectory(lab, name);
  return port === undefined ? directory : `${directory}[${port}]`;
}

function readHosts(): string {
  try {
    return readFileSync("/etc/hosts", "utf8");
  } catch {
    return "";
  }
}

/** Waits until `target` is another file system in the view, or the server gives up. */
async function mounted(
  view: View,
  server: ChildProcess,
  target: string,
  needed: string,
): Promise<void> {
  let errors = "";
  server.stderr!.on("data", (chunk: Buffer) => {
    errors += chunk.toString("utf8");
  });
  let code: number | null | undefined;
  server.on("exit", (exitCode) => {
    code = exitCode;
  });
  const isMounted = async (): Promise<boolean> => {
    const { stdout } = await view.run(["cat", "/proc/self/mounts"]);
    return stdout.split("\n").some((line) => line.split(" ")[1] === target);
  };
  const deadline = performance.now() + IMAGE_WAIT_MS;
  while (!(await isMounted())) {
    if (code !== undefined || performance.now() > deadline) {
      server.kill("SIGKILL");
      const reason = code === 127 ? "the server is not installed" : errors.trim() || "no answer";
      throw new V2Error("IMAGE_MOUNT", `cannot mount the image on ${target}: ${reason}`, {
        remedy: `this needs: apt install ${needed}`,
      });
    }
    await new Promise((resolve) => setTimeout(resolve, IMAGE_POLL_MS));
  }
}
