import assert from "node:assert/strict";
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { makeFifo } from "../sys/index.ts";
import { closeTarget, isFifo, openToWrite, writeOctets } from "./fifo.ts";

/** More than a pipe holds (pipe(7): 64 KiB). */
const MUCH = new Uint8Array(200_000).fill(7);

function path(t: TestContext): string {
  const place = mkdtempSync(join(tmpdir(), "v2-fifo-"));
  t.after(() => rmSync(place, { recursive: true }));
  return join(place, "target");
}

/** A FIFO that is open for reading, which nobody does. */
function stalled(t: TestContext): { fifo: string; reader: number } {
  const fifo = path(t);
  makeFifo(fifo);
  return { fifo, reader: openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK) };
}

test("a file is written whole", async (t) => {
  const file = path(t);
  const fd = openToWrite(file, isFifo(file));
  assert.equal((await writeOctets(fd, MUCH, () => false))?.length, 0);
  closeTarget(fd);
  assert.deepEqual(new Uint8Array(readFileSync(file)), MUCH);
});

test("a FIFO that nobody reads is not waited for, and is not made where it has gone", (t) => {
  const fifo = path(t);
  makeFifo(fifo);
  assert.equal(openToWrite(fifo, isFifo(fifo)), -1);
  rmSync(fifo);
  assert.throws(() => openToWrite(fifo, true), { code: "ENOENT" });
});

test("a reader that stalls is waited for as long as the writer wants, then gets the rest", async (t) => {
  const { fifo, reader } = stalled(t);
  const fd = openToWrite(fifo, isFifo(fifo));
  const TRIES = 3;
  let tries = 0;
  const left = await writeOctets(fd, MUCH, () => ++tries < TRIES);
  assert.equal(tries, TRIES);
  const held = MUCH.length - left!.length;
  assert.ok(held > 0 && left!.length > 0);
  // It reads again while the rest is written.
  let read = 0;
  const drain = (): boolean => {
    read += readSync(reader, new Uint8Array(held));
    return true;
  };
  assert.equal((await writeOctets(fd, left!, drain))?.length, 0);
  assert.ok(read >= left!.length - held);
  closeSync(reader);
  assert.equal(await writeOctets(fd, MUCH, () => true), undefined, "the reader has left");
  closeTarget(fd);
});

test("a pipe that was opened to block does not", async (t) => {
  const { fifo, reader } = stalled(t);
  const fd = openToWrite(openSync(fifo, constants.O_WRONLY), false);
  const left = await writeOctets(fd, MUCH, () => false);
  assert.ok(left!.length > 0);
  closeTarget(fd);
  closeSync(reader);
});
