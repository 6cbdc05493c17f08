/**
 * What commands print. Data goes to standard output, talk to standard error. With `--json` a
 * command prints one JSON object, or one per line for a list or a stream, and nothing else on
 * standard output.
 */

/** Ends quietly when the reader of a pipe is gone (`v2 … | head`). */
function onBrokenPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== "EPIPE") throw error;
  process.exit(0);
}

/** Writes text, or octets, to standard output as they stand. */
export function print(text: string | Uint8Array): void {
  if (!process.stdout.listeners("error").includes(onBrokenPipe)) {
    process.stdout.on("error", onBrokenPipe);
  }
  process.stdout.write(text);
}

/** Writes one value as one line of JSON. */
export function printJson(value: unknown): void {
  print(`${JSON.stringify(value)}\n`);
}

/**
 * Lays out rows in columns, two spaces apart; the last column is not padded.
 * @param indent spaces in front of every row
 */
export function columns(rows: readonly (readonly string[])[], indent = 0): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, cell.length);
    });
  }
  const line = (row: readonly string[]) =>
    row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i]!))).join("  ");
  return rows.map((row) => `${" ".repeat(indent)}${line(row).trimEnd()}\n`).join("");
}

/** Breaks text into lines of at most `width` columns at spaces. */
export function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/)) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return line === "" ? lines : [...lines, line];
}
