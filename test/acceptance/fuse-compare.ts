/** The process that uses both file systems of `firstDifference`: MOUNT TWIN OPTIONS. */
import { type Differential, firstDifference } from "./fuse-differential.ts";

const [tested, twin, options] = process.argv.slice(2);
const difference = firstDifference(tested!, twin!, JSON.parse(options!) as Differential);
if (difference !== undefined) {
  process.stdout.write(`${difference}\n`);
  process.exitCode = 1;
}
