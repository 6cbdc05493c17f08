/** Help, sessions, files of commands, debug categories, plugins. */
import { ERRNO } from "../../base/index.ts";
import { EVENT_CATEGORIES, type EventCategory } from "../events.ts";
import type { SwitchManagement } from "../management.ts";
import { LOGOUT, menu, SHUTDOWN, type ConsoleCommand, type SessionContext } from "./command.ts";

/** Version that clients parse out of the banner: that of the console's language. */
export const CONSOLE_VERSION = "2.3.2";
/** First lines of a session and of `showinfo`. */
export const BANNER =
  `VDE switch V.${CONSOLE_VERSION}\n` +
  "(C) Virtual Square Team (coord. R. Davoli) 2005,2006,2007 - GPLv2\n";

export const GENERAL_COMMANDS: readonly ConsoleCommand[] = [
  menu("ds", "DATA SOCKET MENU"),
  {
    path: "ds/showinfo",
    syntax: "",
    help: "show ds info",
    hasData: true,
    run: ({ management, print }) => {
      const { directory, mode } = management.info();
      print(`ctl dir ${directory}`);
      print(`std mode 0${mode.toString(8).padStart(3, "0")}`);
      return 0;
    },
  },
  {
    path: "help",
    syntax: "[arg]",
    help: "Help (limited to arg when specified)",
    hasData: true,
    run: help,
  },
  { path: "logout", syntax: "", help: "logout from this mgmt terminal", run: () => LOGOUT },
  { path: "shutdown", syntax: "", help: "shutdown of the switch", run: () => SHUTDOWN },
  {
    path: "showinfo",
    syntax: "",
    help: "show switch version and info",
    hasData: true,
    run: showInfo,
  },
  {
    path: "load",
    syntax: "path",
    help: "load a configuration script",
    run: (session, path) => session.load(path),
  },
  menu("debug", "DEBUG MENU"),
  {
    path: "debug/list",
    syntax: "",
    help: "list debug categories",
    hasData: true,
    run: listCategories,
  },
  {
    path: "debug/add",
    syntax: "dbgpath",
    help: "enable debug info for a given category",
    run: addCategories,
  },
  {
    path: "debug/del",
    syntax: "dbgpath",
    help: "disable debug info for a given category",
    run: removeCategories,
  },
  menu("plugin", "PLUGINS MENU"),
  { path: "plugin/list", syntax: "", help: "list plugins", hasData: true, run: listPlugins },
  {
    path: "plugin/add",
    syntax: "library",
    help: "load a plugin",
    run: ({ management }, name) => (name === "" ? ERRNO.EINVAL : management.plugins.add(name)),
  },
  {
    path: "plugin/del",
    syntax: "name",
    help: "unload a plugin",
    run: ({ management }, name) => management.plugins.remove(name),
  },
];

function help({ commands, print }: SessionContext, prefix: string): number {
  const row = (path: string, syntax: string, text: string): void =>
    print(`${path.padEnd(18)} ${syntax.padEnd(15)} ${text}`);
  row("COMMAND PATH", "SYNTAX", "HELP");
  row("------------", "--------------", "------------");
  for (const command of commands()) {
    if (command.path.startsWith(prefix)) row(command.path, command.syntax, command.help);
  }
  return 0;
}

function showInfo({ management, print }: SessionContext): number {
  const { pid, mac, uptimeSeconds, management: socket } = management.info();
  for (const line of BANNER.split("\n")) print(line);
  print(`pid ${pid} MAC ${mac} uptime ${uptimeSeconds}`);
  if (socket !== undefined) {
    print(`mgmt ${socket.path} perm 0${socket.mode.toString(8).padStart(3, "0")}`);
  }
  return 0;
}

/** Those of the switch, then those of its plugins. */
function allCategories(management: SwitchManagement): EventCategory[] {
  return [...EVENT_CATEGORIES, ...management.plugins.list().flatMap((p) => p.categories)];
}

function listCategories(session: SessionContext, prefix: string): number {
  const { print } = session;
  const row = (path: string, tag: string, status: string, text: string): void =>
    print(`${path.padEnd(22)} ${tag} ${status.padEnd(6)} ${text}`);
  row("CATEGORY", "TAG", "STATUS", "HELP");
  row("------------", "---", "------", "----");
  const found = allCategories(session.management).filter((c) => c.path.startsWith(prefix));
  for (const { path, tag, help: text } of found) {
    const status = session.categories.has(path) ? "ON" : "OFF";
    row(path, tag.toString(8).padStart(3, "0"), status, text);
  }
  return found.length === 0 ? ERRNO.ENOENT : 0;
}

function addCategories(session: SessionContext, prefix: string): number {
  const found = allCategories(session.management).filter((c) => c.path.startsWith(prefix));
  if (found.length === 0) return ERRNO.EINVAL;
  const before = session.categories.size;
  for (const { path } of found) session.categories.add(path);
  if (session.categories.size === before) return ERRNO.EEXIST;
  session.listens();
  return 0;
}

function removeCategories(session: SessionContext, prefix: string): number {
  const found = allCategories(session.management).filter((c) => c.path.startsWith(prefix));
  if (found.length === 0) return ERRNO.EINVAL;
  const before = session.categories.size;
  for (const { path } of found) session.categories.delete(path);
  if (session.categories.size === before) return ERRNO.ENOENT;
  session.listens();
  return 0;
}

function listPlugins({ management, print }: SessionContext, prefix: string): number {
  const row = (name: string, text: string): void => print(`${name.padEnd(22)} ${text}`);
  row("NAME", "HELP");
  row("------------", "----");
  const found = management.plugins.list().filter(({ name }) => name.startsWith(prefix));
  for (const { name, help: text } of found) row(name, text);
  return found.length === 0 ? ERRNO.ENOENT : 0;
}
