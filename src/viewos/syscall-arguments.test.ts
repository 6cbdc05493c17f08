import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  type ArgumentReader,
  argumentsText,
  argumentValues,
  captureArguments,
} from "./syscall-arguments.ts";
import { AUDIT_ARCH_AARCH64, AUDIT_ARCH_I386, AUDIT_ARCH_X86_64 } from "./syscall-numbers.ts";
import { quoteOctets, socketAddressText } from "./syscall-text.ts";
import { SyscallTable } from "./syscalls.ts";

/** A caller whose memory is one array, mapped at 0x1000. */
class FakeMemory implements ArgumentReader {
  reads = 0;
  readonly #octets = new Uint8Array(0x2000);
  readonly base = 0x1000n;

  constructor(content: { readonly [offset: number]: Uint8Array | string }) {
    for (const [offset, part] of Object.entries(content)) {
      const octets = typeof part === "string" ? new TextEncoder().encode(`${part}\0`) : part;
      this.#octets.set(octets, Number(offset));
    }
  }

  string(address: bigint, limit: number): Uint8Array | "too long" | undefined {
    const whole = this.octets(address, Math.min(limit, Number(0x3000n - address)));
    const end = whole?.indexOf(0);
    return end === -1 ? "too long" : whole?.subarray(0, end);
  }

  octets(address: bigint, length: number): Uint8Array | undefined {
    this.reads++;
    const at = Number(address - this.base);
    if (at < 0 || at + length > this.#octets.length) return undefined;
    return this.#octets.slice(at, at + length);
  }
}

interface Described {
  readonly text: string;
  readonly json: string;
}

function describe(
  arch: number,
  name: string,
  words: readonly bigint[],
  memory = new FakeMemory({}),
): Described {
  const argument = (index: number): bigint => words[index] ?? 0n;
  const call = {
    arch,
    argument,
    low: (index: number) => Number(BigInt.asUintN(32, argument(index))),
    high: (index: number) => Number(argument(index) >> 32n),
  };
  const kinds = new SyscallTable(arch).named(name)!.arguments;
  const captured = captureArguments(kinds, call, memory);
  return {
    text: name + argumentsText(kinds, call, captured),
    json: JSON.stringify(argumentValues(kinds, call, captured)),
  };
}

const NATIVE = AUDIT_ARCH_X86_64;
const AT_FDCWD = 0xffffff9cn;

test("paths, directories, flags and modes are printed as strace prints them", () => {
  const memory = new FakeMemory({ 0: "/etc/passwd", 0x100: "other" });
  assert.deepEqual(describe(NATIVE, "openat", [AT_FDCWD, 0x1000n, 0o2000000n, 0o777n], memory), {
    text: 'openat(AT_FDCWD, "/etc/passwd", O_RDONLY|O_CLOEXEC)',
    json: '["AT_FDCWD","/etc/passwd","O_RDONLY|O_CLOEXEC"]',
  });
  const create = describe(NATIVE, "open", [0x1100n, 0o1101n, 0o644n], memory);
  assert.equal(create.text, 'open("other", O_WRONLY|O_CREAT|O_TRUNC, 0644)');
  const link = describe(NATIVE, "linkat", [3n, 0x1000n, AT_FDCWD, 0x1100n, 0x400n], memory);
  assert.equal(link.text, 'linkat(3, "/etc/passwd", AT_FDCWD, "other", AT_SYMLINK_FOLLOW)');
  assert.equal(
    describe(NATIVE, "access", [0x1100n, 5n], memory).text,
    'access("other", R_OK|X_OK)',
  );
  assert.equal(
    describe(NATIVE, "chown", [0x1100n, 0xffffffffn, 7n], memory).json,
    '["other",-1,7]',
  );
});

test("flags that differ between processors are named by the caller's", () => {
  const words = [AT_FDCWD, 0n, 0o40000n];
  assert.match(describe(AUDIT_ARCH_AARCH64, "openat", words).text, /O_RDONLY\|O_DIRECTORY\)$/);
  assert.match(describe(NATIVE, "openat", words).text, /O_RDONLY\|O_DIRECT\)$/);
  assert.match(describe(NATIVE, "unshare", [0x10020000n]).text, /\(CLONE_NEWNS\|CLONE_NEWUSER\)$/);
  assert.match(
    describe(NATIVE, "clone", [0x1200011n]).text,
    /\(SIGCHLD\|CLONE_CHILD_CLEARTID\|CLONE/,
  );
  assert.match(describe(NATIVE, "kill", [5n, 9n]).text, /\(5, SIGKILL\)$/);
  assert.match(
    describe(NATIVE, "accept4", [5n, 0n, 0n, 0x80000n]).text,
    /\(5, NULL, NULL, 0x80000\)/,
  );
});

test("argument vectors have words of the caller's size, and end with an ellipsis", () => {
  const narrow = new Uint8Array(new Uint32Array([0x1100, 0x1110, 0]).buffer);
  const wide = new Uint8Array(new BigUint64Array([0x1100n, 0n]).buffer);
  const long = new Uint8Array(new BigUint64Array(40).fill(0x1100n).buffer);
  const memory = new FakeMemory({
    0: "/bin/ls",
    0x40: narrow,
    0x80: wide,
    0x100: "ls",
    0x110: "-l",
    0x200: long,
  });
  const compatible = describe(AUDIT_ARCH_I386, "execve", [0x1000n, 0x1040n, 0x2000n], memory);
  assert.equal(compatible.text, 'execve("/bin/ls", ["ls", "-l"], 0x2000)');
  assert.equal(
    describe(NATIVE, "execve", [0x1000n, 0x1080n], memory).json,
    '["/bin/ls",["ls"],null]',
  );
  assert.match(
    describe(NATIVE, "execve", [0x1000n, 0x1200n], memory).text,
    /(?:"ls", ){32}\.\.\.\], NULL/,
  );
  // The array ends where the mapped memory does.
  const edge = new FakeMemory({
    0x100: "a",
    0x1ff8: new Uint8Array(new BigUint64Array([0x1100n]).buffer),
  });
  assert.match(describe(NATIVE, "execve", [0n, 0x2ff8n], edge).text, /\(NULL, \["a"\], NULL\)/);
});

test("socket addresses are read for their length and printed by family", () => {
  const inet = Uint8Array.of(2, 0, 0, 80, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0);
  const memory = new FakeMemory({ 0: inet });
  assert.equal(
    describe(NATIVE, "connect", [4n, 0x1000n, 16n], memory).text,
    "connect(4, {AF_INET, 127.0.0.1:80}, 16)",
  );
  const six = new Uint8Array(28);
  six.set([10, 0, 0x1f, 0x90], 0);
  six[23] = 1;
  assert.equal(socketAddressText(six), "{AF_INET6, [::1]:8080}");
  const unix = new TextEncoder().encode("\x01\0/run/x\0junk");
  assert.equal(socketAddressText(unix), '{AF_UNIX, "/run/x"}');
  assert.equal(socketAddressText(Uint8Array.of(1, 0, 0, 97)), '{AF_UNIX, @"a"}');
  assert.equal(socketAddressText(Uint8Array.of(16, 0, 5)), '{family 16, "\\005"}');
});

test("each string of a call is read once", () => {
  const memory = new FakeMemory({ 0: "a", 8: "b" });
  describe(NATIVE, "rename", [0x1000n, 0x1008n], memory);
  assert.equal(memory.reads, 2);
});

test("quoting keeps text readable and never moves a terminal's cursor", () => {
  const octets = (text: string): Uint8Array => new TextEncoder().encode(text);
  assert.equal(quoteOctets(octets('é "\\\n\x1b[2J')), '"é \\"\\\\\\n\\033[2J"');
  assert.equal(quoteOctets(Uint8Array.of(0xff, 0x41, 0x5c, 0x31, 0x32, 0x33)), '"\\377A\\\\123"');
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (octets) => {
      const quoted = quoteOctets(octets);
      // oxlint-disable-next-line no-control-regex -- control characters must not be there
      assert.doesNotMatch(quoted, /[\x00-\x1f\x7f-\x9f]/);
      assert.match(quoted, /^"(?:[^"\\]|\\[^])*"$/);
    }),
    { numRuns: 2000, seed: 9 },
  );
});

test("any words in any call's registers are printed without failing", () => {
  const memory = new FakeMemory({ 0: "text" });
  const word = fc.oneof(fc.bigInt(0n, 0xffffffffffffffffn), fc.constantFrom(0n, 0x1000n, 0x2fffn));
  for (const arch of [NATIVE, AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64]) {
    const names = new SyscallTable(arch).calls().map((call) => call.name);
    fc.assert(
      fc.property(
        fc.constantFrom(...names),
        fc.array(word, { minLength: 6, maxLength: 6 }),
        (name, words) => {
          const { text, json } = describe(arch, name, words, memory);
          assert.ok(text.startsWith(`${name}(`) && text.endsWith(")"));
          assert.ok(Array.isArray(JSON.parse(json)));
        },
      ),
      { numRuns: 1500, seed: 3 },
    );
  }
});
