/** The operation `debug`: which categories are logged, of whom, in which colours. */
import { EXIT, V2Error } from "../../base/index.ts";
import { closeDescriptor, pidfdGetDescriptor, pidfdOpen } from "../../sys/index.ts";
import {
  addTags,
  colourSequence,
  type ControlArguments,
  DEBUG_TAGS,
  parseDebugWord,
  removeTags,
} from "../../viewos/index.ts";
import type { ControlCaller } from "./control-server.ts";
import type { DebugSettings } from "./view-settings.ts";
import type { ViewState } from "./view-state.ts";

/** Words of one request, and processes that are logged by themselves, at most. */
const WORDS_MAX = 64;
const PROCESSES_MAX = 64;
const STANDARD_ERROR = 2;

/** What is logged: of all processes, and of the asker and its descendants. */
export interface DebugState {
  readonly tags: string;
  readonly own: string;
  /** Known categories and their names. */
  readonly known: { readonly [tag: string]: string };
}

/**
 * Applies words of vudebug. With `own` they hold for the process that asks and its descendants, as
 * long as its connection lives. Switching something on sends the log to the asker's standard error.
 */
export function changeDebug(
  { words = [], own = false }: ControlArguments,
  { settings, debug }: Pick<ViewState, "settings" | "debug">,
  caller: ControlCaller,
): DebugState {
  if (!Array.isArray(words) || words.length > WORDS_MAX || typeof own !== "boolean") {
    throw new V2Error(
      "ARGUMENTS",
      `'words' are ${WORDS_MAX} texts at most, 'own' is true or false`,
    );
  }
  const before = settings.value.debug;
  const mine = before.processes.find(({ pid }) => pid === caller.pid)?.tags ?? "";
  let tags = own ? mine : before.tags;
  const colours = { ...before.colours };
  let isSwitchedOn = false;
  for (const word of words as readonly unknown[]) {
    const change = typeof word === "string" ? parseDebugWord(word) : undefined;
    if (change === undefined) throw wrong(word);
    if (change.action === "+") tags = addTags(tags, change.tags);
    if (change.action === "-") tags = removeTags(tags, change.tags);
    isSwitchedOn ||= change.action === "+";
    const { colour } = change;
    if (colour === undefined) continue;
    for (const tag of change.tags) colours[tag] = colourSequence(colour)!;
  }
  const others = before.processes.filter(({ pid }) => pid !== caller.pid);
  if (own && tags !== "" && others.length >= PROCESSES_MAX) {
    throw new V2Error("TOO_MANY", `a view logs ${PROCESSES_MAX} processes by themselves at most`);
  }
  const kept = mine === "" ? others : [...others, { pid: caller.pid, tags: mine }];
  const after: DebugSettings = own
    ? {
        tags: before.tags,
        colours,
        processes: tags === "" ? others : [...others, { pid: caller.pid, tags }],
      }
    : { tags, colours, processes: kept };
  if (words.length > 0) settings.write({ ...settings.value, debug: after });
  if (isSwitchedOn) speakTo(debug, caller.pid);
  if (own) caller.connection.addEventListener("abort", () => forget(settings, caller.pid));
  return { tags: after.tags, own: own ? tags : mine, known: DEBUG_TAGS };
}

function wrong(word: unknown): V2Error {
  return new V2Error("DEBUG_WORD", `'${String(word)}' switches nothing`, {
    remedy: "write [+-?][TAG…][:COLOUR], for instance +sp:r",
    exitCode: EXIT.usage,
  });
}

/** The log goes where the process writes its errors. */
function speakTo(debug: ViewState["debug"], pid: number): void {
  const pidfd = pidfdOpen(pid);
  if (pidfd === -1) return;
  const descriptor = pidfdGetDescriptor(pidfd, STANDARD_ERROR);
  closeDescriptor(pidfd);
  if (descriptor !== -1) debug.writeTo(descriptor);
}

function forget(settings: ViewState["settings"], gone: number): void {
  const { debug } = settings.value;
  const processes = debug.processes.filter(({ pid }) => pid !== gone);
  settings.write({ ...settings.value, debug: { ...debug, processes } });
}
