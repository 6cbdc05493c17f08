// time limit: 30 s
/** Programs of Debian's libvdemgmt on the management socket of our switch, beside Debian's. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { mask } from "./console-peers.ts";
import { managedSwitch, type SwitchKind } from "./vde-consoles.ts";
import { has, isOver, until, Workshop } from "./vde-peers.ts";

/**
 * Reads lines: a command of the console; "watch EVENT", "unwatch EVENT"; "events N" waits for so
 * many events since the start. Tells every result of the library.
 */
const PROGRAM = `
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <libvdemgmt.h> /* takes size_t for granted */
static int events = 0;
static void happened(const char *event, const int tag, const char *data) {
  printf("event %s %d %s\\n", event, tag, data);
  events++;
}
int main(int argc, char **argv) {
  char line[256];
  struct vdemgmt *conn;
  /* The socket is there a moment before the switch listens. */
  while ((conn = vdemgmt_open(argv[1])) == NULL) usleep(20000);
  printf("version '%s' prompt '%s'\\nbanner '%s'\\n",
    vdemgmt_getversion(conn), vdemgmt_getprompt(conn), vdemgmt_getbanner(conn));
  char **commands = vdemgmt_commandlist(conn);
  if (commands == NULL) return 2;
  for (char **command = commands; *command != NULL; command++) printf("command %s\\n", *command);
  vdemgmt_freecommandlist(commands);
  while (fflush(stdout), fgets(line, sizeof line, stdin) != NULL) {
    line[strcspn(line, "\\n")] = 0;
    if (strncmp(line, "watch ", 6) == 0) {
      printf("watch %d\\n", vdemgmt_asyncreg(conn, line + 6, happened));
    } else if (strncmp(line, "unwatch ", 8) == 0) {
      vdemgmt_asyncunreg(conn, line + 8);
    } else if (strncmp(line, "events ", 7) == 0) {
      struct pollfd socket = { vdemgmt_getfd(conn), POLLIN, 0 };
      while (events < atoi(line + 7) && poll(&socket, 1, -1) == 1) vdemgmt_asyncrecv(conn);
      printf("events %d\\n", events);
    } else {
      /* vdemgmt_freeout frees the container too. */
      struct vdemgmt_out *out = calloc(1, sizeof *out);
      int result = vdemgmt_sendcmd(conn, line, out);
      printf("%s: %d\\n%.*s\\n", line, result, (int)out->sz, out->buf == NULL ? "" : out->buf);
      vdemgmt_freeout(out);
    }
  }
  vdemgmt_close(conn);
  return 0;
}
`;

const COMMANDS = [
  "showinfo",
  "ds/showinfo",
  "port/create 3",
  "port/create 3",
  "port/setvlan 3 77",
  "vlan/create 5",
  "vlan/addport 5 3",
  "vlan/print 5",
  "port/allprint",
  "hash/showinfo",
  "fstp/print",
  "debug/list",
  "no/such/command",
];

/** What the program says of a switch, a client that comes and goes included. */
async function story(shop: Workshop, kind: SwitchKind, program: string): Promise<string> {
  const { console, directory } = await managedSwitch(shop, kind);
  const running = shop.start(program, [console]);
  const says = async (text: string): Promise<void> => {
    const said = (): boolean => running.output().includes(text);
    await until(() => said() || isOver(running));
    assert.ok(said(), `${text}: ${running.output().toString()}`);
  };
  const { stdin } = running.child;
  for (const command of COMMANDS) {
    stdin!.write(`${command}\n`);
    await says(`${command}: `);
  }
  stdin!.write("watch port/+\nwatch port/-\nwatch port/+\nwatch nonsense\n");
  // EINVAL: now it listens to the others.
  await says("watch 22\n");
  const plug = shop.start("vde_plug", ["--port", "7", directory]);
  stdin!.write("events 1\n");
  await says("events 1\n");
  plug.child.kill("SIGTERM");
  await plug.ended;
  stdin!.write("events 2\nunwatch port/+\nport/remove 3\ndebug/list port/+\n");
  stdin!.end();
  assert.equal(await running.ended, 0, running.errors());
  return mask(running.output().toString().replaceAll(shop.place, "PLACE"));
}

/** Commands that Debian's switch does not have (docs/vde-switch.md). */
const OWN = new Set(
  [
    "port/defqlen port/epqlen port/suspend port/mirror port/unmirror port/impair",
    "vlan/mirror vlan/unmirror mirror/list impair/list",
    "capture/start capture/stop capture/list json metrics",
  ].flatMap((paths) => paths.split(" ").map((path) => `command ${path}`)),
);

test("a program of libvdemgmt hears from our switch what it hears from Debian's", async (t) => {
  if (!has("vde_switch") || !has("vde_plug")) return t.skip("needs them: apt install vde2 vdeplug");
  if (!has("cc") || !existsSync("/usr/include/libvdemgmt.h")) {
    return t.skip("needs a C compiler and libvdemgmt: apt install gcc libvde-dev");
  }
  const shop = new Workshop(t);
  const program = shop.path("program");
  writeFileSync(`${program}.c`, PROGRAM);
  const built = spawnSync("cc", ["-o", program, `${program}.c`, "-lvdemgmt"]);
  assert.equal(built.status, 0, built.stderr.toString());
  const debians = await story(shop, "debian", program);
  const ours = await story(shop, "ours", program);
  assert.match(debians, /event port\/\+ /);
  const lines = ours.split("\n");
  assert.deepEqual(new Set(lines.filter((line) => OWN.has(line))), OWN);
  const shared = lines.filter((line) => !OWN.has(line)).join("\n");
  const renamed = (text: string): string => text.replaceAll(/PLACE\/(?:ours|debian)/g, "PLACE");
  assert.equal(renamed(shared), renamed(debians));
});
