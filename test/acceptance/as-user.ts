/**
 * For tests that root runs and that need an ordinary user beside root: a copy of the built program
 * that every user may read, wherever the checkout is.
 */
import { chmodSync, cpSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Outcome, runProgram } from "./v2.ts";

const CHECKOUT = fileURLToPath(new URL("../../..", import.meta.url));
/** What `v2 view` needs of the checkout. */
const NEEDED = ["package.json", "build/src", "node_modules/koffi", "node_modules/@koromix"];

/** A user without an account, whom nobody else uses. */
export interface OrdinaryUser extends Disposable {
  /** A directory that every user may enter; root's. */
  readonly path: string;
  /** `node` and the program, for command lines. */
  readonly v2: readonly string[];
  /** Runs a program as that user. */
  run(argv: readonly string[]): Promise<Outcome>;
}

/** Makes the copy; it goes with `using`. */
export function ordinaryUser(uid: number): OrdinaryUser {
  const path = mkdtempSync("/tmp/v2-user-");
  chmodSync(path, 0o755);
  for (const name of NEEDED.filter((needed) => existsSync(join(CHECKOUT, needed)))) {
    cpSync(join(CHECKOUT, name), join(path, name), { recursive: true });
  }
  const node = join(path, "node");
  cpSync(process.execPath, node);
  const user = ["setpriv", "--reuid", String(uid), "--regid", String(uid), "--clear-groups"];
  const env = { ...process.env, HOME: "/", XDG_RUNTIME_DIR: "" };
  return {
    path,
    v2: [node, join(path, "build/src/cli/main.js")],
    run: (argv) => runProgram([...user, ...argv], { env, cwd: "/" }),
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}
