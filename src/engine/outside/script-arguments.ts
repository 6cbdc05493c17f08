/**
 * Scripts in a mount of a view without namespaces: the kernel would give the interpreter the real
 * path. So the guest executes the interpreter itself, with the name that the script was called by.
 */
import { accessSync, closeSync, constants, openSync, readSync } from "node:fs";
import { ERRNO } from "../../base/index.ts";
import { pathOctets } from "../../sys/index.ts";
import {
  AUDIT_ARCH_X86_64,
  kernelPath,
  parseScriptLine,
  SCRIPT_LINE_OCTETS,
  type ScriptLine,
  type Walked,
} from "../../viewos/index.ts";
import type { GuestPaths, TrappedCall } from "./guest-paths.ts";
import type { PlacedArgument } from "./placed-arguments.ts";

/** Words of a command line that are read at most; the kernel's own limit is in octets. */
const WORDS_MAX = 32 * 1024;

/**
 * The arguments of execve(2) that run a script's interpreter.
 * @returns undefined when the kernel can do it: it is no script, or neither it nor its interpreter
 * lie in a mount; an errno when the interpreter cannot be found.
 */
export function scriptArguments(
  request: TrappedCall,
  script: Walked,
  pathIndex: number,
  paths: GuestPaths,
): readonly PlacedArgument[] | number | undefined {
  const line = scriptLineOf(kernelPath(script));
  if (line === undefined) return undefined;
  const interpreter = paths.walk(line.interpreter) ?? ERRNO.ESRCH;
  if (typeof interpreter === "number") return interpreter;
  if (!script.differs && !interpreter.differs) return undefined;
  const argvIndex = pathIndex + 1;
  const called = paths.string(request.argument(pathIndex)) ?? "";
  const words = wordsOf(request, argvIndex, paths);
  if (words === undefined) return ERRNO.E2BIG;
  const argument = line.argument === undefined ? [] : [pathOctets(`${line.argument}\0`)];
  const argv = [
    pathOctets(`${line.interpreter}\0`),
    ...argument,
    pathOctets(`${called}\0`),
    ...words.slice(1),
    0n,
  ];
  return [
    { index: pathIndex, content: pathOctets(`${kernelPath(interpreter)}\0`) },
    { index: argvIndex, content: argv },
  ];
}

function scriptLineOf(real: string): ScriptLine | undefined {
  const head = Buffer.alloc(SCRIPT_LINE_OCTETS);
  try {
    const path = Buffer.from(pathOctets(real));
    accessSync(path, constants.X_OK);
    const fd = openSync(path, "r");
    try {
      return parseScriptLine(head.toString("latin1", 0, readSync(fd, head)));
    } finally {
      closeSync(fd);
    }
  } catch {
    // Not to be read or executed, or not there: the kernel tells.
    return undefined;
  }
}

/** Addresses of the caller's words; undefined when there are too many. */
function wordsOf(request: TrappedCall, index: number, paths: GuestPaths): bigint[] | undefined {
  const size = request.arch === AUDIT_ARCH_X86_64 ? 8 : 4;
  const words: bigint[] = [];
  const start = request.argument(index);
  if (start === 0n) return words;
  while (words.length < WORDS_MAX) {
    const at = start + BigInt(words.length * size);
    const octets = paths.memory.octets(request.pid, at, size);
    if (octets === undefined) return words;
    const view = new DataView(octets.buffer);
    const word = size === 8 ? view.getBigUint64(0, true) : BigInt(view.getUint32(0, true));
    if (word === 0n) return words;
    words.push(word);
  }
  return undefined;
}
