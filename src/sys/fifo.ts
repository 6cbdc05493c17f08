/** Named pipes (fifo(7)), which Node cannot make. */
import { check, declare } from "./libc.ts";

const libcMkfifo = declare<(path: string, mode: number) => number>(
  "int mkfifo(const char *path, unsigned int mode)",
);

/** mkfifo(3). @throws V2Error EEXIST, EACCES … */
export function makeFifo(path: string, mode = 0o600): void {
  check(libcMkfifo(path, mode), "mkfifo", path);
}
