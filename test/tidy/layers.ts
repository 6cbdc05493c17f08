/**
 * The layers: who may know whom (ARCHITECTURE.md), which folders stay pure, and that there is no
 * cycle.
 */
import {
  blank,
  type FileMap,
  folderOf,
  importsOf,
  isTest,
  lineAt,
  type Violation,
} from "./source.ts";

/** Folders of src and the folders they may import; their own is always allowed. */
export const LAYERS: { readonly [folder: string]: readonly string[] } = {
  base: [],
  wire: ["base"],
  vde: ["base", "wire"],
  lwipv6: ["base", "wire"],
  viewos: ["base"],
  fuse: ["base"],
  images: ["base"],
  umps: ["base"],
  sim: ["base", "wire", "vde", "lwipv6", "viewos", "umps"],
  sys: ["base"],
  plugs: ["base", "wire", "vde", "lwipv6", "sys"],
  engine: ["base", "wire", "viewos", "fuse", "sys", "plugs"],
  modules: ["base", "wire", "viewos", "fuse", "images", "lwipv6", "sys", "plugs", "engine"],
  zoo: ["base", "umps", "sys", "plugs"],
  overlay: ["base", "wire", "sys", "plugs"],
  meet: ["base", "wire", "sys", "plugs"],
};
const BELOW_LAB = Object.keys(LAYERS);
const TOP: { readonly [folder: string]: readonly string[] } = {
  lab: BELOW_LAB,
  web: [...BELOW_LAB, "lab"],
  cli: [...BELOW_LAB, "lab", "web"],
};

/** Folders that also run in a browser and in the simulator: no clock, no chance, no system. */
export const PURE: readonly string[] = [
  "base",
  "wire",
  "vde",
  "lwipv6",
  "viewos",
  "fuse",
  "images",
  "umps",
  "sim",
];

/** Globals that a pure folder must be given instead: as code, without comments and strings. */
const IMPURE = [
  /(?<![\w$.])Date\b(?=\s*[.(])/g,
  /\bMath\.random\b/g,
  /(?<![\w$.])(?:setTimeout|setInterval|setImmediate|queueMicrotask)\s*\(/g,
  /(?<![\w$.])(?:console|performance|crypto|globalThis)\s*\./g,
  /(?<![\w$.])Buffer\s*\./g,
];
const PROCESS = /(?<![\w$.])process\s*\./g;
/** A guest's process may be called so: then the name is the file's own. */
const OWN_PROCESS = /\b(?:const|let|var)\s+process\b|[(,{]\s*process\s*[:,)}=]|\(\s*process\s*\)/;

function allowed(folder: string): readonly string[] | undefined {
  return LAYERS[folder] ?? TOP[folder];
}

/** Imports against the table of layers, koffi outside src/sys, node: in pure folders. */
export function checkLayers(files: FileMap): readonly Violation[] {
  const found: Violation[] = [];
  for (const [file, text] of files) {
    const folder = folderOf(file);
    if (folder === undefined || isTest(file)) continue;
    const may = allowed(folder);
    if (may === undefined) {
      found.push({ file, line: 0, rule: "layer", text: `src/${folder} is in no layer` });
      continue;
    }
    for (const { specifier, target, line, startsProgram } of importsOf(file, text)) {
      if (startsProgram) continue;
      const say = (why: string) => found.push({ file, line, rule: "layer", text: why });
      if (specifier === "koffi" && folder !== "sys") say("only src/sys may import koffi");
      if (specifier.startsWith("node:") && PURE.includes(folder)) {
        say(`src/${folder} is pure and may not import ${specifier}`);
      }
      const other = target === undefined ? undefined : folderOf(target);
      if (other !== undefined && other !== folder && !may.includes(other)) {
        say(`src/${folder} may not import src/${other}`);
      }
      if (target !== undefined && !target.startsWith("src/")) say(`src may not import ${target}`);
    }
  }
  return found;
}

/** Clocks, timers, chance, console and process in pure folders; their tests may use them. */
export function checkPurity(files: FileMap): readonly Violation[] {
  const found: Violation[] = [];
  for (const [file, text] of files) {
    const folder = folderOf(file);
    if (folder === undefined || !PURE.includes(folder) || isTest(file)) continue;
    const code = blank(text);
    const patterns = OWN_PROCESS.test(code) ? IMPURE : [...IMPURE, PROCESS];
    for (const pattern of patterns) {
      for (const match of code.matchAll(pattern)) {
        const name = match[0].replace(/\s*[.(]$/, "");
        const line = lineAt(code, match.index);
        found.push({ file, line, rule: "purity", text: `src/${folder} is pure: no ${name}` });
      }
    }
  }
  return found;
}

/** A folder of src is entered through its index.ts; tests beside the code excepted. */
export function checkDoors(files: FileMap): readonly Violation[] {
  const found: Violation[] = [];
  for (const [file, text] of files) {
    if (isTest(file) && file.startsWith("src/")) continue;
    const from = folderOf(file);
    for (const { target, line, startsProgram } of importsOf(file, text)) {
      const folder = target === undefined ? undefined : folderOf(target);
      if (folder === undefined || folder === from || startsProgram) continue;
      if (target === `src/${folder}/index.ts`) continue;
      const why = `enter src/${folder} through its index.ts, not ${target}`;
      found.push({ file, line, rule: "door", text: why });
    }
  }
  return found;
}

/**
 * Files that import each other in a ring, lazy imports apart; each ring once, from its first file
 * in alphabetical order.
 */
export function checkCycles(files: FileMap): readonly Violation[] {
  const edges = new Map<string, readonly string[]>();
  for (const [file, text] of files) {
    if (!file.endsWith(".ts")) continue;
    const targets = importsOf(file, text)
      .filter((entry) => !entry.isLazy)
      .flatMap((entry) => entry.target ?? []);
    edges.set(
      file,
      targets.filter((target) => files.has(target)),
    );
  }
  const found: Violation[] = [];
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): void => {
    const start = path.indexOf(file);
    if (start >= 0) {
      const ring = path.slice(start);
      const text = [...ring, file].join(" -> ");
      found.push({ file, line: 0, rule: "cycle", text });
      return;
    }
    if (done.has(file)) return;
    path.push(file);
    for (const target of edges.get(file) ?? []) visit(target);
    path.pop();
    done.add(file);
  };
  for (const file of [...edges.keys()].sort()) visit(file);
  return found;
}
