/**
 * A capture made by a running switch itself, of any port or VLAN in both directions, asked for on
 * its console: the switch writes into a FIFO of ours, from which frames go on to where they are
 * wanted. The FIFO belongs to this user, so the switch must be this user's or the superuser's.
 */
import { constants, mkdtempSync, openSync, rmSync } from "node:fs";
import { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { ERRNO, errnoName, EXIT, V2Error } from "../base/index.ts";
import { makeFifo } from "../sys/index.ts";
import { printScope, type TapScope } from "../vde/index.ts";
import { blockDropped, blockFrame, PcapngBlocks } from "../wire/index.ts";
import { CaptureFilter, type CaptureOptions, type CaptureResult } from "./capture-cable.ts";
import {
  closeTarget,
  FIFO_LAST_MS,
  FIFO_RETRY_MS,
  isFifo,
  openToWrite,
  writeOctets,
} from "./fifo.ts";
import { connectSwitch, type ManagementClient } from "./management-client.ts";

export interface InsideCaptureOptions extends Omit<CaptureOptions, "vnl"> {
  /** Management socket of the switch. */
  readonly console: string;
  readonly scope: TapScope;
}

/**
 * Captures until the signal, the count, the end of the switch, or the reader of the target leaves.
 * @param onStart called when frames are seen.
 * @throws V2Error NO_CAPTURES: it is a switch that does not capture; the errno's name when the
 *   switch refuses; when the target cannot be written.
 */
export async function captureInside(
  options: InsideCaptureOptions,
  onStart: () => void = () => undefined,
): Promise<CaptureResult> {
  const end = new AbortController();
  const stop = (): void => end.abort();
  const { signal } = options;
  signal?.addEventListener("abort", stop, { once: true });
  if (signal?.aborted === true) stop();
  const filter = new CaptureFilter(options, stop);
  const client = await connectSwitch(options.console);
  const place = mkdtempSync(join(tmpdir(), "v2-capture-"));
  const forget = (): void => rmSync(place, { recursive: true, force: true });
  try {
    const fifo = join(place, "fifo");
    makeFifo(fifo);
    const source = new Socket({
      fd: openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK),
      readable: true,
      writable: false,
    });
    try {
      const id = await start(client, fifo, options);
      onStart();
      // From here on only descriptors are used; nothing is left behind however this ends.
      forget();
      const ending = stopAtEnd(client, id, end.signal);
      try {
        const target = await openTarget(options.target, end.signal);
        return await passOn(source, target, filter, end);
      } finally {
        stop();
        await ending;
      }
    } finally {
      source.destroy();
    }
  } finally {
    signal?.removeEventListener("abort", stop);
    forget();
    await client.close();
  }
}

/** Asks the switch. @returns the number of the capture. */
async function start(
  client: ManagementClient,
  fifo: string,
  { scope, console: path }: InsideCaptureOptions,
): Promise<number> {
  const what = scope.port === undefined && scope.vlan === undefined ? "" : ` ${printScope(scope)}`;
  const reply = await client.command(`capture/start ${fifo}${what} ${scope.direction} once`);
  if (reply.errno === ERRNO.ENOSYS) {
    throw new V2Error("NO_CAPTURES", `the switch at '${path}' captures nothing itself`, {
      remedy: "plug into it: v2 capture DIR, or v2 capture 'DIR[PORT]'",
      exitCode: EXIT.unavailable,
    });
  }
  if (reply.errno !== 0) {
    const code = reply.errno === undefined ? "NO_RESULT" : errnoName(reply.errno);
    throw new V2Error(code, `capture of ${printScope(scope)} at '${path}': ${reply.text}`);
  }
  return Number(/^Capture (\d+)/.exec(reply.data[0] ?? "")?.[1]);
}

/** Tells the switch when the capture is over; what it still has comes through the FIFO. */
async function stopAtEnd(client: ManagementClient, id: number, signal: AbortSignal): Promise<void> {
  if (!signal.aborted) {
    await new Promise<void>((resolve) => {
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
  }
  // The switch may have gone, or have ended the capture already.
  await client.command(`capture/stop ${id}`).catch(() => undefined);
}

/** Opens a file, or a FIFO as soon as somebody reads it. @returns -1: the signal came first. */
async function openTarget(target: string | number, signal: AbortSignal): Promise<number> {
  const isPathOfFifo = isFifo(target);
  for (;;) {
    const fd = openToWrite(target, isPathOfFifo);
    if (fd !== -1 || signal.aborted) return fd;
    await wait(FIFO_RETRY_MS);
  }
}

/**
 * Passes the blocks on that the filter lets through, until there are no more. A reader that stalls
 * is waited for, but not for long once the end was asked for.
 */
async function passOn(
  source: Socket,
  target: number,
  filter: CaptureFilter,
  end: AbortController,
): Promise<CaptureResult> {
  const splitter = new PcapngBlocks();
  let lastMs = Number.POSITIVE_INFINITY;
  const setLast = (): void => {
    lastMs = performance.now() + FIFO_LAST_MS;
  };
  if (end.signal.aborted) setLast();
  else end.signal.addEventListener("abort", setLast, { once: true });
  const isWaiting = (): boolean => performance.now() < lastMs;
  let isOpen = target >= 0;
  let written = 0;
  let dropped = 0;
  for await (const chunk of source) {
    const passed: Uint8Array[] = [];
    let frames = 0;
    for (const block of splitter.push(chunk as Uint8Array)) {
      const frame = blockFrame(block);
      dropped = blockDropped(block) ?? dropped;
      if (frame !== undefined && !filter.accept({ octets: frame })) continue;
      if (frame !== undefined) frames++;
      passed.push(block);
    }
    if (!isOpen || passed.length === 0) continue;
    const left = await writeOctets(target, Buffer.concat(passed), isWaiting);
    isOpen = left?.length === 0;
    if (isOpen) written += frames;
    else end.abort();
  }
  if (target >= 0) closeTarget(target);
  return { written, filtered: filter.refused, dropped };
}
