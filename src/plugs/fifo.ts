/**
 * Writing captures to a file, a FIFO or a pipe on the event loop (fifo(7), pipe(7)). A FIFO may
 * have no reader, or one that stalls: nothing here waits longer for it than the caller wants.
 */
import { closeSync, constants, fstatSync, openSync, statSync, write } from "node:fs";
import { promisify } from "node:util";
import { V2Error } from "../base/index.ts";

/** How often a FIFO that has no reader, or is full, should be tried again. */
export const FIFO_RETRY_MS = 10;
/** How long the reader of a FIFO that is full is waited for at the end. */
export const FIFO_LAST_MS = 2000;
/** Standard output and error are the program's, whoever writes to them. */
const STDERR = 2;

const writeAt = promisify(write);

/** Whether it is the path of a FIFO, where what is written needs a reader. */
export function isFifo(target: string | number): boolean {
  if (typeof target === "number") return false;
  return statSync(target, { throwIfNoEntry: false })?.isFIFO() === true;
}

/**
 * Opens a file anew, or a FIFO that somebody reads.
 * @param target path, or an open descriptor, which is the result's from now on.
 * @param isPathOfFifo a FIFO is meant: nothing is made where none is any more.
 * @returns a descriptor for `writeOctets`; -1: a FIFO that nobody reads.
 * @throws V2Error with the errno's name.
 */
export function openToWrite(target: string | number, isPathOfFifo: boolean): number {
  if (typeof target === "number") return unblocked(target);
  const flags = isPathOfFifo ? constants.O_WRONLY | constants.O_NONBLOCK : "w";
  try {
    return openSync(target, flags, 0o600);
  } catch (cause) {
    const { code = "EIO", message } = cause as NodeJS.ErrnoException;
    if (isPathOfFifo && code === "ENXIO") return -1;
    throw new V2Error(code, `capture '${target}': ${message}`, { cause });
  }
}

/** The same pipe on a file description of our own: others go on waiting in write(2), we do not. */
function unblocked(fd: number): number {
  if (!fstatSync(fd).isFIFO()) return fd;
  try {
    const own = openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK);
    closeTarget(fd);
    return own;
  } catch {
    // Another user's pipe, or no /proc: it may block us.
    return fd;
  }
}

/** Closes what `openToWrite` gave. */
export function closeTarget(fd: number): void {
  if (fd > STDERR) closeSync(fd);
}

/**
 * Writes octets, as long as a full FIFO is to be waited for.
 * @returns those that are left when it was no longer; undefined: the reader has gone, or the disk
 *   is full.
 */
export async function writeOctets(
  fd: number,
  octets: Uint8Array,
  isWaiting: () => boolean,
): Promise<Uint8Array | undefined> {
  for (let at = 0; at < octets.length; ) {
    try {
      at += (await writeAt(fd, octets, at)).bytesWritten;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") return undefined;
      if (!isWaiting()) return octets.subarray(at);
      await new Promise((resolve) => setTimeout(resolve, FIFO_RETRY_MS));
    }
  }
  return octets.subarray(octets.length);
}
