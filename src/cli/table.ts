/**
 * All commands, by group; the group files hold one entry each. A new command is one file beside
 * this one and one entry in its group's table. Every start of `v2` reads the tables: entries are
 * plain data, and code is behind `load`.
 */
import type { CommandSpec } from "./command.ts";
import { IPN_COMMANDS } from "./table-ipn.ts";
import { LAB_COMMANDS } from "./table-lab.ts";
import { PROGRAM_COMMANDS } from "./table-program.ts";
import { STACK_COMMANDS } from "./table-stack.ts";
import { VDE_CAPTURE_COMMANDS } from "./table-vde-capture.ts";
import { VDE_CONSOLE_COMMANDS } from "./table-vde-console.ts";
import { VDE_COMMANDS } from "./table-vde.ts";
import { VIEW_CLASSIC_COMMANDS } from "./table-view-classic.ts";
import { VIEW_CONTROL_COMMANDS } from "./table-view-control.ts";
import { VIEW_COMMANDS } from "./table-view.ts";

export const COMMANDS: readonly CommandSpec[] = [
  ...VIEW_COMMANDS,
  ...VIEW_CLASSIC_COMMANDS,
  ...VIEW_CONTROL_COMMANDS,
  ...VDE_COMMANDS,
  ...VDE_CONSOLE_COMMANDS,
  ...VDE_CAPTURE_COMMANDS,
  ...IPN_COMMANDS,
  ...STACK_COMMANDS,
  ...LAB_COMMANDS,
  ...PROGRAM_COMMANDS,
];
