/** A machine without filters. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { ERRNO } from "../../src/base/index.ts";
import { LaunchProgram } from "../../src/sys/index.ts";
import {
  AUDIT_ARCH_I386,
  AUDIT_ARCH_X86_64,
  compileFilter,
  SYS_X86_64,
} from "../../src/viewos/index.ts";
import { runProgram, temporaryDirectory } from "./v2.ts";

/** Runs a command where seccomp(2) is refused, as some containers and old kernels do. */
export function withoutSeccomp(words: readonly string[]): ReturnType<typeof runProgram> {
  const program = new LaunchProgram();
  const refused = { kind: "errno", errno: ERRNO.EPERM } as const;
  const filter = compileFilter(
    [AUDIT_ARCH_X86_64, AUDIT_ARCH_I386].map((arch) => {
      return { arch, number: SYS_X86_64.seccomp, action: refused };
    }),
  );
  const descriptor = program.words([filter.length / 8, program.bytes(filter)]);
  const entry = program.call(SYS_X86_64.prctl, [38, 1, 0, 0, 0]);
  program.call(SYS_X86_64.seccomp, [1, 0, descriptor]);
  const environment = Object.entries(process.env).map(([name, value]) => `${name}=${value ?? ""}`);
  const [argv, envp] = [program.strings(words), program.strings(environment)];
  program.call(SYS_X86_64.execve, [program.string(words[0]!), argv, envp]);
  using directory = temporaryDirectory();
  const file = join(directory.path, "launch");
  writeFileSync(file, program.compile(entry), { mode: 0o755 });
  return runProgram([file]);
}
