/** The picture of `v2 switch top`: lines of text for a terminal of a size. Pure. */
import type { PortRate, ReportedInfo } from "../vde/index.ts";

/** One reading, ready to be shown. */
export interface TopReading {
  readonly name: string;
  readonly info: ReportedInfo;
  readonly ports: readonly PortRate[];
  readonly intervalSeconds: number;
}

const HEAD = ["PORT", "VLAN", "IN f/s", "IN b/s", "OUT f/s", "OUT b/s", "DROPS", "DESCRIPTION"];
/** Columns of numbers stand at the right. */
const NUMBERS = 7;
const NO_VLAN = 4095;

/**
 * Lines no wider than `columns`, no more than `rows`; ports that find no room are counted in the
 * last line.
 */
export function topLines(reading: TopReading, columns: number, rows: number): readonly string[] {
  const { ports } = reading;
  const lines = [title(reading), totals(ports), ""];
  const room = rows - lines.length - 1;
  const isCut = ports.length > room;
  const shown = isCut ? ports.slice(0, Math.max(room - 1, 0)) : ports;
  const cells = [HEAD, ...shown.map(row)];
  const widths = HEAD.slice(0, NUMBERS).map((_, i) =>
    Math.max(...cells.map((line) => line[i]!.length)),
  );
  for (const line of cells) {
    lines.push(line.map((cell, i) => (i < NUMBERS ? cell.padStart(widths[i]!) : cell)).join("  "));
  }
  if (isCut) lines.push(`… and ${ports.length - shown.length} more ports`);
  return lines.slice(0, Math.max(rows, 1)).map((line) => line.slice(0, columns).trimEnd());
}

function title({ name, info, intervalSeconds }: TopReading): string {
  const uptime = info.uptimeSeconds === undefined ? "" : `  up ${duration(info.uptimeSeconds)}`;
  return `${name}  ${info.title}${uptime}  every ${intervalSeconds} s`;
}

function totals(ports: readonly PortRate[]): string {
  const sum = (value: (port: PortRate) => number) => ports.reduce((all, p) => all + value(p), 0);
  const inFrames = amount(sum((p) => p.in.framesPerSecond));
  const outFrames = amount(sum((p) => p.out.framesPerSecond));
  const inBits = amount(sum((p) => p.in.bitsPerSecond));
  const outBits = amount(sum((p) => p.out.bitsPerSecond));
  const count = `${ports.length} port${ports.length === 1 ? "" : "s"}`;
  return `${count}  in ${inFrames} f/s ${inBits} b/s  out ${outFrames} f/s ${outBits} b/s`;
}

function row(port: PortRate): readonly string[] {
  return [
    String(port.port),
    port.untaggedVlan === NO_VLAN ? "-" : String(port.untaggedVlan),
    amount(port.in.framesPerSecond),
    amount(port.in.bitsPerSecond),
    amount(port.out.framesPerSecond),
    amount(port.out.bitsPerSecond),
    port.drops === undefined ? "-" : String(port.drops),
    // A client chooses its description: nothing of it may steer the terminal.
    // oxlint-disable-next-line no-control-regex -- these are the characters to be taken out
    port.description.replace(/[\u0000-\u001f\u007f-\u009f]/g, "?"),
  ];
}

/** Three digits and a decimal prefix: 0, 12, 1.5k, 234M. */
export function amount(value: number): string {
  const prefixes = ["", "k", "M", "G", "T"];
  let rest = value;
  let prefix = 0;
  while (rest >= 999.5 && prefix < prefixes.length - 1) {
    rest /= 1000;
    prefix++;
  }
  const digits = prefix === 0 || rest >= 99.95 ? 0 : 1;
  return `${rest.toFixed(digits)}${prefixes[prefix]}`;
}

/** "2d 3h", "4h 5m", "6m 7s". */
function duration(seconds: number): string {
  const parts = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "m"],
    [seconds % 60, "s"],
  ] as const;
  const first = parts.findIndex(([value]) => value > 0);
  const shown = first === -1 ? parts.slice(-1) : parts.slice(first, first + 2);
  return shown.map(([value, unit]) => `${value}${unit}`).join(" ");
}
