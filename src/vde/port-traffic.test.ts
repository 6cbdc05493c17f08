import assert from "node:assert/strict";
import { test } from "node:test";
import { type CableTraffic, PortTrafficBook } from "./port-traffic.ts";

function cable(id: number, port: number, input: number, output: number): CableTraffic {
  return {
    id,
    port,
    framesIn: input,
    octetsIn: input * 60,
    framesOut: output,
    octetsOut: output * 60,
  };
}

test("a port's input is the sum of its cables, its output that of one", () => {
  const book = new PortTrafficBook();
  const traffic = book.read(1, [cable(1, 1, 3, 7), cable(2, 1, 4, 7), cable(3, 2, 50, 50)]);
  assert.deepEqual(traffic, { framesIn: 7, octetsIn: 420, framesOut: 7, octetsOut: 420 });
});

test("what gone cables carried stays, and the output goes on with the next one", () => {
  const book = new PortTrafficBook();
  book.closed(1, [cable(1, 1, 3, 10), cable(2, 1, 4, 6)]);
  assert.equal(book.read(1, [cable(2, 1, 4, 6)]).framesOut, 10);
  assert.equal(book.read(1, [cable(2, 1, 5, 9)]).framesOut, 13);
  assert.equal(book.read(1, [cable(2, 1, 5, 9)]).framesIn, 8);
  book.closed(2, [cable(2, 1, 5, 9)]);
  assert.equal(book.read(1, []).framesOut, 13);
  assert.equal(
    book.read(1, [cable(3, 1, 1, 2)]).framesOut,
    15,
    "a later cable counts from its start",
  );
});

test("a reset counts from now on, a removed port from nothing", () => {
  const book = new PortTrafficBook();
  book.reset(1, [cable(1, 1, 3, 10)]);
  assert.deepEqual(book.read(1, [cable(1, 1, 5, 11)]), {
    framesIn: 2,
    octetsIn: 120,
    framesOut: 1,
    octetsOut: 60,
  });
  book.closed(1, [cable(1, 1, 5, 11)]);
  assert.equal(book.read(1, []).framesIn, 2);
  book.removed(1);
  assert.equal(book.read(1, []).framesIn, 0);
});
