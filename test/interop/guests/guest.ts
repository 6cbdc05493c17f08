/** A machine that runs as a process: it takes commands on its console. */
import assert from "node:assert/strict";
import type { Running, Workshop } from "../vde-peers.ts";
import { until } from "../vde-peers.ts";
import { DONE, READY } from "./image.ts";

/** How much of a console is told when a machine ends too early. */
const STORY_CHARACTERS = 2000;

export interface Answer {
  readonly status: number;
  readonly output: string;
}

/** A machine with a shell on standard input and output. */
export class Guest {
  readonly running: Running;
  #read = 0;

  constructor(running: Running) {
    this.running = running;
  }

  /** Waits until the machine takes commands. */
  async boot(): Promise<this> {
    await this.#wait(READY);
    return this;
  }

  /** Runs a line of shell in the machine. */
  async run(line: string): Promise<Answer> {
    this.running.child.stdin!.write(`${line}\n`);
    const output = await this.#wait(DONE);
    const status = /^ (\d+)/.exec(await this.#wait("\n"))![1];
    return { status: Number(status), output };
  }

  /** Runs a line that has to succeed. @returns its output. */
  async ask(line: string): Promise<string> {
    const { status, output } = await this.run(line);
    assert.equal(status, 0, `${line}: ${output}`);
    return output;
  }

  /**
   * Ends the machine from inside and waits for its process. A user-mode Linux once ended with
   * SIGABRT here, on a busy machine: how a foreign kernel ends says nothing of the switch.
   */
  async powerOff(): Promise<number | string> {
    this.running.child.stdin!.write("poweroff -f\n");
    return await this.running.ended;
  }

  /** The end of what the machine said. */
  get story(): string {
    const { running } = this;
    return `${running.output().toString("latin1")}${running.errors()}`.slice(-STORY_CHARACTERS);
  }

  /** What the console says up to a text, which is passed over. */
  async #wait(text: string): Promise<string> {
    const { child } = this.running;
    const console = (): string => this.running.output().toString("latin1");
    const found = (): number => console().indexOf(text, this.#read);
    await until(() => found() >= 0 || child.exitCode !== null || child.signalCode !== null);
    const at = found();
    assert.ok(at >= 0, `the machine ended before it said '${text}':\n${this.story}`);
    const passed = console().slice(this.#read, at);
    this.#read = at + text.length;
    return passed;
  }
}

/** Arguments of QEMU for a PC without a disk; emulated, so that it needs no /dev/kvm. */
export function qemuMachine(kernel: string, image: string): readonly string[] {
  return [
    "-accel",
    "tcg",
    "-nodefaults",
    "-no-user-config",
    "-no-reboot",
    "-display",
    "none",
    "-serial",
    "stdio",
    "-m",
    "128",
    "-kernel",
    kernel,
    "-initrd",
    image,
    "-append",
    "console=ttyS0 quiet panic=-1 mitigations=off",
  ];
}

/** Starts a PC with a virtio card on a port of a switch. */
export function startQemu(
  shop: Workshop,
  settings: {
    readonly kernel: string;
    readonly image: string;
    readonly directory: string;
    readonly port: number;
    readonly mac: string;
  },
): Guest {
  const { kernel, image, directory, port, mac } = settings;
  const words = [
    ...qemuMachine(kernel, image),
    "-netdev",
    `vde,id=lan,sock=${directory},port=${port}`,
    "-device",
    `virtio-net-pci,netdev=lan,mac=${mac},romfile=`,
  ];
  return new Guest(shop.start("qemu-system-x86_64", words));
}

/**
 * Starts a user-mode Linux with a card on a port of a switch. The card is that of the kernel's
 * arch/um/drivers/vde_kern.c: eth0=vde,DIRECTORY,MAC,PORT,GROUP,MODE,DESCRIPTION.
 */
export function startUserMode(
  shop: Workshop,
  settings: {
    readonly image: string;
    readonly directory: string;
    readonly port: number;
    readonly mac: string;
    readonly name: string;
  },
): Guest {
  const { image, directory, port, mac, name } = settings;
  const words = [
    "mem=64M",
    `initrd=${image}`,
    "root=/dev/ram0",
    "quiet",
    "panic=-1",
    // Its memory is a file in $TMPDIR; its process number and control socket go here.
    `uml_dir=${shop.place}`,
    `umid=${name}`,
    "con=null",
    "ssl=null",
    "con0=fd:0,fd:1",
    `eth0=vde,${directory},${mac},${port},,,${name}`,
  ];
  return new Guest(shop.start("linux.uml", words));
}
