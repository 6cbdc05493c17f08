/**
 * `v2 switch console SOCK`, historically vdeterm: a terminal on the console of a switch. Debug
 * lines come at any time; they are written above the line being typed, which stays as it is.
 */
import { createInterface, emitKeypressEvents } from "node:readline";
import { EXIT, V2Error } from "../base/index.ts";
import { connectSwitch, type ManagementClient } from "../plugs/index.ts";
import { type ConsoleReply, type DebugEvent, parseCommands } from "../vde/index.ts";
import type { Invocation } from "./command.ts";
import { completeConsole, type ConsoleWords } from "./console-completion.ts";
import { type Key, LineEditor } from "./line-editor.ts";
import { print, wrap } from "./output.ts";

/** The original ends so when it cannot connect. */
const NO_CONNECTION = 255;
/** As a process that SIGINT ends. */
const INTERRUPTED = 130;

export async function run(invocation: Invocation): Promise<number> {
  const [path, more] = [...invocation.words, ...invocation.rest];
  if (path === undefined || more !== undefined) {
    throw new V2Error("USAGE", `${invocation.calledAs}: one management socket is needed`, {
      remedy: "v2 vdeterm /tmp/lan.mgmt",
      exitCode: NO_CONNECTION,
    });
  }
  let onDebug = (event: DebugEvent): void => print(`${debugText(event)}\n`);
  const client = await connect(path, (event) => onDebug(event));
  await using _ = client;
  print(`${client.banner.join("\n")}\n\n`);
  if (!process.stdin.isTTY || !process.stdout.isTTY) {
    await answerLines(client);
    return EXIT.ok;
  }
  const terminal = new ConsoleTerminal(client, `${client.prompt}[${path}]: `);
  onDebug = (event) => terminal.above(debugText(event));
  return await terminal.run();
}

async function connect(
  path: string,
  onDebug: (event: DebugEvent) => void,
): Promise<ManagementClient> {
  try {
    return await connectSwitch(path, { onDebug });
  } catch (error) {
    if (!(error instanceof V2Error)) throw error;
    const remedy = error.remedy === undefined ? {} : { remedy: error.remedy };
    throw new V2Error(error.code, error.message, { ...remedy, exitCode: NO_CONNECTION });
  }
}

/** A script's lines, one after the other; the last ones are answered too. */
async function answerLines(client: ManagementClient): Promise<void> {
  const lines = createInterface({ input: process.stdin });
  void client.ended.then(() => {
    lines.close();
    process.stdin.destroy();
  });
  for await (const line of lines) {
    if (line.trim() !== "") print(await answer(client, line));
    if (client.isClosed) return;
  }
}

/** What the switch says to a line; nothing when it has gone. */
async function answer(client: ManagementClient, line: string): Promise<string> {
  try {
    return replyText(await client.command(line));
  } catch (error) {
    if (client.isClosed) return "";
    throw error;
  }
}

/** What the original shows of a reply: the data, then the words of the result. */
function replyText({ echo, data, text, errno }: ConsoleReply): string {
  const lines = [...echo, ...data, ...(errno === undefined ? [] : [text])];
  return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
}

function debugText({ path, text }: DebugEvent): string {
  return `** DBG MSG: ${path} ${text}`.trimEnd();
}

/** A dialogue between a person and a switch. */
class ConsoleTerminal {
  readonly #client: ManagementClient;
  readonly #prompt: string;
  readonly #editor = new LineEditor();
  #words: Promise<ConsoleWords> | undefined;
  /** Rows that the drawn line has above the cursor; undefined: no line is drawn. */
  #rowsAbove: number | undefined;
  #underWay = 0;
  #end: (code: number) => void = () => undefined;

  constructor(client: ManagementClient, prompt: string) {
    this.#client = client;
    this.#prompt = prompt;
  }

  /** @returns the exit code. */
  async run(): Promise<number> {
    const { stdin, stdout } = process;
    const ended = new Promise<number>((resolve) => {
      this.#end = resolve;
      void this.#client.ended.then(() => resolve(EXIT.ok));
      stdin.once("end", () => resolve(EXIT.ok));
    });
    const redraw = (): void => this.#draw();
    emitKeypressEvents(stdin);
    stdin.on("keypress", (text: string | undefined, key: Key) => this.#press(text, key));
    stdin.setRawMode(true);
    stdout.on("resize", redraw);
    this.#draw();
    try {
      return await ended;
    } finally {
      stdout.off("resize", redraw);
      stdin.setRawMode(false);
      stdin.destroy();
      print("\n");
    }
  }

  /** Writes text above the line being typed. */
  above(text: string): void {
    const wasDrawn = this.#rowsAbove !== undefined;
    this.#wipe();
    print(`${text.replaceAll("\n", "\r\n")}\r\n`);
    if (wasDrawn) this.#draw();
  }

  #press(text: string | undefined, key: Key): void {
    const effect = this.#editor.press(text, key);
    if (effect === "end") this.#end(EXIT.ok);
    else if (effect === "interrupt") this.#end(INTERRUPTED);
    else if (effect === "complete") void this.#complete();
    else if (effect === "clear") print("\u001b[2J\u001b[H");
    else if (effect !== "edited") void this.#submit(effect.submitted);
    if (effect === "clear") this.#rowsAbove = undefined;
    if (effect === "edited" || effect === "clear") this.#draw();
  }

  async #submit(line: string): Promise<void> {
    this.#wipe();
    print(`${this.#prompt}${line}\r\n`);
    this.#underWay++;
    const text = line.trim() === "" ? "" : await answer(this.#client, line);
    this.#underWay--;
    print(text.replaceAll("\n", "\r\n"));
    if (line.startsWith("plugin/")) this.#words = undefined;
    this.#draw();
  }

  async #complete(): Promise<void> {
    this.#words ??= learnWords(this.#client);
    const words = await this.#words.catch(() => undefined);
    if (words === undefined) return;
    const [hits, replaced] = completeConsole(this.#editor.typed, words);
    const common = commonStart(hits);
    if (common.length > replaced.length) this.#editor.insert(common.slice(replaced.length));
    else if (hits.length > 1) {
      this.above(wrap(hits.join(" "), process.stdout.columns).join("\n"));
      return;
    }
    this.#draw();
  }

  /** Takes the drawn line away; the cursor stands where it began. */
  #wipe(): void {
    if (this.#rowsAbove === undefined) return;
    const up = this.#rowsAbove > 0 ? `\u001b[${this.#rowsAbove}A` : "";
    print(`${up}\r\u001b[J`);
    this.#rowsAbove = undefined;
  }

  /** Draws the line, unless a command is on its way or the switch has gone. */
  #draw(): void {
    if (this.#underWay > 0 || this.#client.isClosed) return;
    this.#wipe();
    const { text, cursorRow } = this.#editor.picture(this.#prompt, process.stdout.columns);
    print(text);
    this.#rowsAbove = cursorRow;
  }
}

function commonStart(words: readonly string[]): string {
  let common = words[0] ?? "";
  for (const word of words) while (!word.startsWith(common)) common = common.slice(0, -1);
  return common;
}

/** Asks the switch what it understands. */
async function learnWords(client: ManagementClient): Promise<ConsoleWords> {
  const help = await client.command("help");
  const categories = await client.command("debug/list");
  return {
    commands: parseCommands(help.data),
    debugCategories: categories.data.flatMap((line) => /^(\S+) +[0-7]{3} /.exec(line)?.[1] ?? []),
  };
}
