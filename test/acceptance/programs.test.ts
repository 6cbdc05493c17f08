// runs as: user
// time limit: 400 s
/** Nobody notices a view: programs are the same bare, at every trap level, and on every rung. */
import { describe } from "node:test";
import { allPrograms, MOUNT_HERE, testAlone, testTogether, type Way } from "./programs.ts";

const RARE = "socket-create,exec,process,namespaces,mount,names,identity,time,ioctl";

/** Levels of traps (docs/viewos.md) and rungs that answer a program's calls in different ways. */
const STRICT: readonly Way[] = [
  { name: "at level 0", options: [] },
  { name: "at level 3, paths answered", options: ["--trap=path"] },
  { name: "at level 4, every call trapped", options: ["--trace=all"], isTraced: true },
  { name: "on rung C", options: ["--engine=C"] },
];

/** Levels and a rung that do less of the same. */
const LESS: readonly Way[] = [
  { name: "at level 2, rare calls trapped", options: [`--trace=${RARE}`], isTraced: true },
  { name: "at level 3, paths let through", options: ["--trace=path"], isTraced: true },
  { name: "on rung B", options: ["--engine=B"] },
];

/** Views that show mounts, and work in a mount. */
const MOUNTED: readonly Way[] = [
  {
    name: "on rung C, with a mount elsewhere",
    options: ["--engine=C", "--mount", "tmpfs::/media"],
  },
  { name: "on rung D", options: ["--engine=D"], isLed: true },
  { name: "in a mount", options: ["--mount", MOUNT_HERE] },
  { name: "in a mount on rung C", options: ["--engine=C", "--mount", MOUNT_HERE], isLed: true },
  { name: "in a mount on rung D", options: ["--engine=D", "--mount", MOUNT_HERE], isLed: true },
];

// Most of them wait for something much of the time.
describe("programs", { concurrency: 2 }, () => {
  const programs = allPrograms();
  testTogether(programs, [...MOUNTED, ...LESS]);
  for (const program of programs) {
    testAlone(program, program.isAlone ? [...STRICT, ...LESS] : STRICT);
  }
});
