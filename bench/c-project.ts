/**
 * A C project of ordinary shape, made from a seed so that every run and every machine builds the
 * same text: a `configure` script that tries the compiler with dozens of small files, some 300
 * sources with headers of their own, a generated table, archives, and programs that are run at the
 * end. Building it is what a view must not slow down: many short processes, many opens of small
 * files.
 */
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface CProject {
  readonly folder: string;
  /** Sources that `make` compiles. */
  readonly sources: number;
}

const LIBRARIES = 20;
const FILES_PER_LIBRARY = 15;
const FUNCTIONS_PER_FILE = 6;
const SEED = 0x5eed;

const HEADERS = ["stdio.h", "stdlib.h", "string.h", "errno.h", "fcntl.h", "unistd.h", "signal.h"];
const SYSTEM_HEADERS = ["sys/stat.h", "sys/socket.h", "sys/mman.h", "netinet/in.h", "poll.h"];
const FUNCTIONS = ["memmem", "strdup", "pipe2", "accept4", "mmap", "getline", "openat", "dprintf"];

/** xorshift32: the same numbers everywhere. */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/**
 * Tries headers and functions one by one with the compiler, as generated scripts of real projects
 * do.
 */
function configureScript(): string {
  const names = [...HEADERS, ...SYSTEM_HEADERS];
  return [
    "#!/bin/sh",
    "set -e",
    ": > config.h.new",
    "try() { # NAME SOURCE",
    '  printf "%s\\n" "$2" > conftest.c',
    "  if ${CC:-cc} -o conftest conftest.c 2> conftest.log && test -s conftest; then",
    '    echo "#define HAVE_$1 1" >> config.h.new; echo "checking for $1... yes"',
    "  else",
    '    echo "/* no $1 */" >> config.h.new; echo "checking for $1... no"',
    "  fi",
    "  rm -f conftest conftest.c conftest.log",
    "}",
    `for h in ${names.join(" ")} none/such.h; do`,
    "  try \"$(echo $h | tr 'a-z/.' 'A-Z__')\" \"#include <$h>",
    'int main(void) { return 0; }"',
    "done",
    `for f in ${FUNCTIONS.join(" ")} no_such_function; do`,
    "  try \"$(echo $f | tr 'a-z' 'A-Z')\" \"char $f(void);",
    'int main(void) { return $f(); }"',
    "done",
    "sed -e 's/HAVE_/CONFIG_/' config.h.new | sort | uniq > config.h",
    "rm -f config.h.new",
    "",
  ].join("\n");
}

function sourceText(library: number, file: number, random: (below: number) => number): string {
  const lines = [
    '#include "../config.h"',
    ...HEADERS.slice(0, 4).map((name) => `#include <${name}>`),
  ];
  lines.push(`#include "lib${library}.h"`, `#include "../lib${(library + 1) % LIBRARIES}/lib.h"`);
  for (let i = 0; i < FUNCTIONS_PER_FILE; i++) {
    const name = `l${library}_f${file}_${i}`;
    const [a, b, c] = [1 + random(97), 1 + random(89), 2 + random(30)];
    lines.push(
      `unsigned ${name}(unsigned x)`,
      "{",
      `  unsigned table[${c}], sum = ${a};`,
      `  for (unsigned i = 0; i < ${c}; i++) table[i] = (x ^ (i * ${b})) + sum;`,
      `  for (unsigned i = 0; i < ${c}; i++) { sum = sum * 31 + table[(i * ${a}) % ${c}];`,
      `    if (sum & 1) sum ^= ${b}u << (i % 13); }`,
      `  return sum${i === 0 ? "" : ` + l${library}_f${file}_${i - 1}(x >> 1)`};`,
      "}",
    );
  }
  return `${lines.join("\n")}\n`;
}

function headerText(library: number): string {
  const lines = [`#ifndef LIB${library}_H`, `#define LIB${library}_H`];
  for (let file = 0; file < FILES_PER_LIBRARY; file++) {
    for (let i = 0; i < FUNCTIONS_PER_FILE; i++)
      lines.push(`unsigned l${library}_f${file}_${i}(unsigned);`);
  }
  return `${[...lines, "#endif"].join("\n")}\n`;
}

function mainText(): string {
  const calls: string[] = [];
  for (let library = 0; library < LIBRARIES; library++) {
    for (let file = 0; file < FILES_PER_LIBRARY; file++) {
      calls.push(`  sum ^= l${library}_f${file}_${FUNCTIONS_PER_FILE - 1}(${file}u);`);
    }
  }
  const headers = Array.from({ length: LIBRARIES }, (_, i) => `#include "lib${i}/lib${i}.h"`);
  return [
    "#include <stdio.h>",
    ...headers,
    '#include "table.h"',
    "int main(void)",
    "{",
    "  unsigned sum = TABLE_SEED;",
    ...calls,
    '  return printf("%08x\\n", sum) == 9 ? 0 : 1;',
    "}",
    "",
  ].join("\n");
}

/** One rule per source, written out: what generated makefiles look like. */
function makefileText(): string {
  const libraries = Array.from({ length: LIBRARIES }, (_, i) => i);
  const archives = libraries.map((i) => `lib${i}/lib${i}.a`);
  const rules = libraries.flatMap((i) => {
    const objects = Array.from({ length: FILES_PER_LIBRARY }, (_, f) => `lib${i}/f${f}.o`);
    return [
      `lib${i}/lib${i}.a: ${objects.join(" ")}`,
      "\trm -f $@ && ar rcs $@ $^",
      ...objects.flatMap((object) => [
        `${object}: ${object.replace(/o$/, "c")} lib${i}/lib${i}.h config.h`,
        `\t$(CC) $(CFLAGS) -MMD -c -o $@ ${object.replace(/o$/, "c")}`,
      ]),
    ];
  });
  return [
    "CC = cc",
    "CFLAGS = -O1 -Wall",
    "all: check",
    "config.h: configure",
    "\tCC=$(CC) ./configure > configure.log",
    "table.h: config.h",
    "\techo \"#define TABLE_SEED `cksum < config.h | cut -d' ' -f1`u\" > $@",
    `main: main.c table.h ${archives.join(" ")}`,
    `\t$(CC) $(CFLAGS) -o $@ main.c ${archives.join(" ")}`,
    "check: main",
    "\tfor i in 1 2 3 4 5 6 7 8 9 10; do ./main; done | sort -u | wc -l | grep -qx 1",
    "clean:",
    "\trm -f main table.h config.h config.h.new configure.log lib*/*.o lib*/*.a lib*/*.d",
    ...rules,
    "",
  ].join("\n");
}

/** Writes the project into an existing empty folder. */
export function writeCProject(folder: string): CProject {
  const random = generator(SEED);
  writeFileSync(join(folder, "configure"), configureScript());
  chmodSync(join(folder, "configure"), 0o755);
  writeFileSync(join(folder, "Makefile"), makefileText());
  writeFileSync(join(folder, "main.c"), mainText());
  for (let library = 0; library < LIBRARIES; library++) {
    const sub = join(folder, `lib${library}`);
    mkdirSync(sub);
    writeFileSync(join(sub, `lib${library}.h`), headerText(library));
    writeFileSync(join(sub, "lib.h"), `#include "../lib${library}/lib${library}.h"\n`);
    for (let file = 0; file < FILES_PER_LIBRARY; file++) {
      writeFileSync(join(sub, `f${file}.c`), sourceText(library, file, random));
    }
  }
  return { folder, sources: LIBRARIES * FILES_PER_LIBRARY + 1 };
}
