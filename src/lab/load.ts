/** From a path to a checked topology. */
import { readFileSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { EXIT, V2Error } from "../base/index.ts";
import type { Topology } from "./topology.ts";
import { checkTopology } from "./topology-check.ts";
import { TopologyDocument, topologyError } from "./topology-file.ts";

/** A topology file is a page or two; more is a mistake. */
const FILE_OCTETS_MAX = 4 * 1024 * 1024;

/**
 * Reads, checks and resolves a topology file; image files are looked up from its directory.
 * @throws V2Error NO_TOPOLOGY (exit 3) when it cannot be read, BAD_TOPOLOGY (exit 2) with all
 *   problems.
 */
export function loadTopology(path: string): Topology {
  return parseTopology(readText(path), path);
}

/** The same for a text; `path` is used in messages and to find the image files. */
export function parseTopology(text: string, path: string): Topology {
  const document = new TopologyDocument(text);
  if (document.data === undefined) throw topologyError(path, document.problems);
  const topology = checkTopology(document, document.data, {
    resolve: (file) => resolve(dirname(path), file),
    isFile: (file) => statSync(file, { throwIfNoEntry: false })?.isFile() ?? false,
  });
  if (document.problems.length > 0) throw topologyError(path, document.problems);
  return topology;
}

function readText(path: string): string {
  let reason: unknown;
  try {
    const { size } = statSync(path);
    if (size <= FILE_OCTETS_MAX) return readFileSync(path, "utf8");
    reason = new Error(`it is ${size} octets long`);
  } catch (error) {
    reason = error;
  }
  throw new V2Error("NO_TOPOLOGY", `cannot read the topology '${path}'`, {
    remedy: (reason as Error).message,
    exitCode: EXIT.notFound,
    cause: reason,
  });
}
