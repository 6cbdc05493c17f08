/**
 * The plugin `iplog` of vde_switch: which IP addresses are used at which port by whom, on the
 * console and in a file. vde/ip-log.ts remembers them.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import { resolve } from "node:path";
import { equalOctets, ERRNO, type ErrnoName } from "../base/index.ts";
import { Accounts } from "../sys/index.ts";
import {
  atoi,
  IpLog,
  type IpUse,
  MENU_SYNTAX,
  type PluginCommandHandler,
  type PluginFrame,
  type PluginHost,
  scanAddress,
  type SwitchPlugin,
} from "../vde/index.ts";
import { parseAddress } from "../wire/index.ts";

const NEW_IP = "iplog/newip";
const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
/** In place of the owner of a port that has none. */
const NOBODY = "(none)";

/** Makes it for one switch. */
export function makeIpLog(host: PluginHost): SwitchPlugin {
  const plugin = new IpLogPlugin(host);
  return {
    name: "iplog",
    help: "log ip/port/user assignment",
    commands: plugin.commands,
    categories: [{ path: NEW_IP, tag: 0o301, help: "show new ip addresses" }],
    frame: (frame) => plugin.frame(frame),
    close: () => plugin.close(),
  };
}

/** Which uses a listing shows. */
type Wanted = (use: IpUse) => boolean;
type Print = (line: string) => void;

class IpLogPlugin {
  readonly #host: PluginHost;
  readonly #log = new IpLog();
  readonly #accounts = new Accounts();
  #file: { readonly fd: number; readonly path: string } | undefined;

  constructor(host: PluginHost) {
    this.#host = host;
  }

  readonly commands: readonly PluginCommandHandler[] = [
    { path: "iplog", syntax: MENU_SYNTAX, help: "IP/Mac/User Logging" },
    this.#data("showinfo", "", "Show info on logging", (_, print) => this.#showInfo(print)),
    command("logfile", "pathname", "Set the logfile", (text) => this.#setFile(text)),
    command("ipadd", "ipaddr/mask", "add an ipv4/v6 range", (text) => this.#log.addRange(text)),
    command("ipdel", "ipaddr/mask", "del an ipv6/v6 range", (text) => this.#log.removeRange(text)),
    this.#data("list", "", "list ip ranges", (_, print) => {
      for (const range of this.#log.ranges()) {
        print(`  ${range.includes(":") ? "ipv6" : "ipv4"}: ${range}`);
      }
      return 0;
    }),
    command("setgcint", "N", "change garbage collector interval", (text) => {
      this.#log.sweepSeconds = atoi(text);
      return 0;
    }),
    command("setexpire", "N", "change iplog entries expire time", (text) => {
      this.#log.expireSeconds = atoi(text);
      return 0;
    }),
    this.#listing("iplist", "", "list active IP", () => () => true),
    this.#listing("ipport", "port", "list active IP on a port", (text) => {
      const port = atoi(text);
      return (use) => use.port === port;
    }),
    this.#listing("ipuser", "user", "list active IP of a user", (text) => {
      const user = this.#userName(text);
      return user === undefined ? undefined : (use) => this.#userOf(use) === user;
    }),
    this.#listing("ipsearch", "ipaddr", "search an IP address", (text) => {
      const wanted = scanAddress(text);
      if (wanted === undefined) return undefined;
      return (use) => equalOctets(parseAddress(use.address)!, wanted);
    }),
  ];

  frame({ direction, octets, port, vlan, timeMs }: PluginFrame): void {
    if (direction === "out") return;
    const use = this.#log.see(octets, port, vlan, timeMs);
    if (use === undefined) return;
    const { description } = this.#host.port(port);
    const where = `mac=${use.mac} port=${port} vlan=${vlan} user=${this.#userOf(use)}`;
    const who = description === "" ? "" : ` "${description}"`;
    const text = `ipv${use.version} ${use.address} ${where}${who}`;
    this.#host.tell(NEW_IP, text);
    if (this.#file !== undefined) writeSync(this.#file.fd, `${stamp(timeMs)} ${text}\n`);
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file.fd);
    this.#file = undefined;
  }

  #showInfo(print: Print): number {
    print("iplog: ip/port/user logging plugin");
    print(this.#file === undefined ? "log disabled" : `log on file ${this.#file.path}`);
    print(`GC interval ${this.#log.sweepSeconds} secs`);
    print(`GC expire ${this.#log.expireSeconds} secs`);
    if (this.#log.refused > 0) print(`${this.#log.refused} addresses refused`);
    return 0;
  }

  /** The old file stays when the new one cannot be opened; without a name there is none. */
  #setFile(path: string): number {
    // vde_switch means syslog by it, which Node does not speak.
    if (path === "-") return ERRNO.EOPNOTSUPP;
    const before = this.#file;
    if (path === "") this.#file = undefined;
    else {
      try {
        this.#file = { fd: openSync(path, "a", 0o600), path: resolve(path) };
      } catch (error) {
        return ERRNO[(error as NodeJS.ErrnoException).code as ErrnoName] ?? ERRNO.EIO;
      }
    }
    if (before !== undefined) closeSync(before.fd);
    return 0;
  }

  #userOf({ port }: IpUse): string {
    return this.#host.port(port).user ?? NOBODY;
  }

  /** Name of a user by name or number; undefined: there is no such user. */
  #userName(text: string): string | undefined {
    if (this.#accounts.userId(text) !== undefined) return text;
    return /^\d+$/.test(text) ? this.#accounts.userName(Number(text)) : undefined;
  }

  #data(
    word: string,
    syntax: string,
    help: string,
    run: (text: string, print: Print) => number,
  ): PluginCommandHandler {
    return { path: `iplog/${word}`, syntax, help, hasData: true, run };
  }

  /** A command that lists uses. @param choose undefined: bad argument. */
  #listing(
    word: string,
    syntax: string,
    help: string,
    choose: (text: string) => Wanted | undefined,
  ): PluginCommandHandler {
    return this.#data(word, syntax, help, (text, print) => {
      const isWanted = choose(text);
      if (isWanted === undefined) return ERRNO.EINVAL;
      for (const use of this.#log.uses(Date.now())) {
        if (!isWanted(use)) continue;
        print(`ipv${use.version} ${use.address} port=${use.port} user=${this.#userOf(use)}`);
      }
      return 0;
    });
  }
}

function command(
  word: string,
  syntax: string,
  help: string,
  run: (text: string) => number,
): PluginCommandHandler {
  return { path: `iplog/${word}`, syntax, help, run };
}

/** "Nov  5 12:42:35", as in system logs. */
function stamp(timeMs: number): string {
  const date = new Date(timeMs);
  const two = (value: number): string => String(value).padStart(2, "0");
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":");
  return `${MONTHS[date.getMonth()]} ${String(date.getDate()).padStart(2)} ${time}`;
}
