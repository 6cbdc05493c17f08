// Writes src/viewos/syscall-tables.ts: the numbers of all system calls, from the kernel's headers
// as installed by linux-libc-dev on x86_64, and from the list below for calls newer than those.
//   node scripts/syscall-tables.mjs [INCLUDE-DIRECTORY]
import { readFileSync, writeFileSync } from "node:fs";

const include = process.argv[2] ?? "/usr/include";
const LINE_COLUMNS = 98;

// scripts/syscall.tbl of Linux 6.18: since 424 all architectures share their numbers.
const NEWER =
  "cachestat=451 fchmodat2=452 map_shadow_stack=453 futex_wake=454 futex_wait=455 " +
  "futex_requeue=456 statmount=457 listmount=458 lsm_get_self_attr=459 lsm_set_self_attr=460 " +
  "lsm_list_modules=461 mseal=462 setxattrat=463 getxattrat=464 listxattrat=465 " +
  "removexattrat=466 open_tree_attr=467 file_getattr=468 file_setattr=469";

/** What arch/arm64/include/uapi/asm/unistd.h defines before it includes the generic table. */
const AARCH64 = new Set([
  "__ARCH_WANT_RENAMEAT",
  "__ARCH_WANT_NEW_STAT",
  "__ARCH_WANT_SET_GET_RLIMIT",
  "__ARCH_WANT_TIME32_SYSCALLS",
  "__ARCH_WANT_MEMFD_SECRET",
  "__ARCH_WANT_SYS_CLONE3",
]);

/** Conditions of the generic table: terms joined by || or &&, for a native 64-bit machine. */
function holds(condition) {
  const term = (text) => {
    const [, not, name, operator] =
      /^(!?)(?:defined\(?(\w+)\)?|__BITS_PER_LONG (==|!=) 32)$/.exec(
        text.trim().replace("__BITS_PER_LONG == 64", "__BITS_PER_LONG != 32"),
      ) ?? [];
    if (name === undefined && operator === undefined) throw new Error(`unknown: #if ${text}`);
    const value = name === undefined ? operator === "!=" : AARCH64.has(name);
    return not === "!" ? !value : value;
  };
  return condition.split("||").some((any) => any.split("&&").every(term));
}

/** The #defines of numbers that are left after the conditions. */
function definitions(text) {
  const found = new Map();
  const taken = [];
  for (const line of text.split("\n")) {
    const [, word, rest = ""] = /^#\s*(\w+)\s*(.*?)\s*(?:\/\*.*)?$/.exec(line) ?? [];
    if (word === "if") taken.push(holds(rest));
    else if (word === "ifdef") taken.push(AARCH64.has(rest));
    else if (word === "ifndef") taken.push(!AARCH64.has(rest));
    else if (word === "else") taken.push(!taken.pop());
    else if (word === "endif") taken.pop();
    else if (word === "define" && taken.every(Boolean)) {
      const [, name, value] = /^(__NR\w*)\s+(\w+)$/.exec(rest) ?? [];
      if (name !== undefined) found.set(name, value);
    }
  }
  return found;
}

function calls(file) {
  const defined = definitions(readFileSync(`${include}/${file}`, "utf8"));
  const numbers = new Map();
  for (const [name, value] of defined) {
    const call = /^__NR_(\w+)$/.exec(name)?.[1];
    const number = Number(defined.get(value) ?? value);
    if (call === undefined || call === "syscalls" || call === "arch_specific_syscall") continue;
    if (Number.isInteger(number)) numbers.set(call, number);
  }
  for (const entry of NEWER.split(" ")) {
    const [call, number] = entry.split("=");
    numbers.set(call, Number(number));
  }
  return [...numbers].sort((a, b) => a[1] - b[1]).map(([name, number]) => `${name}=${number}`);
}

function wrapped(words) {
  const lines = [];
  let line = "";
  for (const word of words) {
    if (line !== "" && line.length + 1 + word.length > LINE_COLUMNS) {
      lines.push(line);
      line = "";
    }
    line += line === "" ? word : ` ${word}`;
  }
  return [...lines, line].join("\n");
}

const table = (name, from, words) =>
  `/** ${from} */\nexport const ${name} = \`\n${wrapped(words)}\n\`;\n`;

process.chdir(import.meta.dirname);
writeFileSync(
  "../src/viewos/syscall-tables.ts",
  `/**
 * Numbers of the system calls, \`name=number\`. Written by scripts/syscall-tables.mjs from the
 * kernel's exported headers (linux-libc-dev) and scripts/syscall.tbl of Linux 6.18; not edited by
 * hand. A test compares it with the headers of the machine.
 */

${table("X86_64_CALLS", "asm/unistd_64.h", calls("x86_64-linux-gnu/asm/unistd_64.h"))}
${table("I386_CALLS", "asm/unistd_32.h", calls("x86_64-linux-gnu/asm/unistd_32.h"))}
${table("AARCH64_CALLS", "asm-generic/unistd.h as aarch64 uses it.", calls("asm-generic/unistd.h"))}`,
);
