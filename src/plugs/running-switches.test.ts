import assert from "node:assert/strict";
import { test } from "node:test";
import { always } from "../../test/properties.ts";
import fc from "fast-check";
import { listeningSockets } from "./running-switches.ts";

const TABLE = `Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 25417 /tmp/a b/ctl
0000000000000000: 00000002 00000000 00010000 0001 01   417 @/tmp/abstract/ctl
0000000000000000: 00000003 00000000 00000000 0001 03 25418 /tmp/lan/ctl
0000000000000000: 00000002 00000000 00000000 0002 01 25419 /tmp/lan/001.7
0000000000000000: 00000003 00000000 00000000 0001 03 25420
0000000000000000: 00000002 00000000 00010000 0005 01 25421 /run/udev/control
`;

test("of all sockets those that listen, for streams, with a name are taken", () => {
  assert.deepEqual(listeningSockets(TABLE), [{ inode: "25417", path: "/tmp/a b/ctl" }]);
});

test("no table makes it throw", () => {
  always(fc.string(), (text) => void listeningSockets(text));
});
