import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { always, anyOctets } from "../../../test/properties.ts";
import { LAUNCHER_VERSION, nativeLauncher, parseRequest } from "./native-launcher.ts";

/** A request as the launcher lays it out. */
function request(line: readonly string[], environment: readonly string[]): Uint8Array {
  const octets = (strings: readonly string[]): Uint8Array =>
    new TextEncoder().encode(strings.map((one) => `${one}\0`).join(""));
  const [first, second] = [octets(line), octets(environment)];
  const whole = new Uint8Array(40 + first.length + second.length);
  const view = new DataView(whole.buffer);
  view.setUint32(0, 0x51, true);
  view.setUint32(4, LAUNCHER_VERSION, true);
  view.setUint32(8, 7, true);
  view.setUint32(12, first.length, true);
  view.setBigUint64(16, 0x7fff_0000n, true);
  view.setBigUint64(24, 0x7fff_0100n, true);
  view.setBigUint64(32, 0x1000_0000n, true);
  whole.set(first, 40);
  whole.set(second, 40 + first.length);
  return whole;
}

const words = fc.array(fc.string({ maxLength: 20 }).map((text) => text.replaceAll("\0", "")));

test("a request gives back the command line and the environment", () => {
  always(fc.tuple(words, words), ([line, values]) => {
    const environment = values.map((value, index) => `NAME${index}=${value}`);
    const parsed = parseRequest(request(line, environment))!;
    const known = new TextDecoder().decode(new TextEncoder().encode(line.join("\0")));
    assert.equal(parsed.line.join("\0"), known);
    assert.equal(parsed.environment.size, values.length);
    assert.deepEqual(
      [parsed.session, parsed.argumentsAt, parsed.environmentAt, parsed.cold],
      [7, 0x7fff_0008n, 0x7fff_0100n, 0x1000_0000n],
    );
  });
});

test("no octets make a request throw, and another version is none", () => {
  always(anyOctets, (octets) => void parseRequest(octets));
  const other = request(["v2"], []);
  other[4]! += 1;
  assert.equal(parseRequest(other), undefined);
});

test("the launcher is a static executable of some thousand octets that names its Node", () => {
  const plan = { node: "/opt/node", main: "/opt/v2/src/cli/main.js", serverSocket: "/run/v2" };
  const image = nativeLauncher(plan);
  assert.ok(image.length < 16_384, `${image.length} octets`);
  const text = Buffer.from(image).toString("latin1");
  for (const path of Object.values(plan)) assert.ok(text.includes(`${path}\0`));
});
