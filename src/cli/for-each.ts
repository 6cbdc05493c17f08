/** Doing the same with several words of a command line, as rm(1) does. */
import { EXIT, V2Error } from "../base/index.ts";

/** Tries all; says of each failure which word it was. @returns EXIT.failed after any. */
export async function forEach(
  words: readonly string[],
  action: (word: string) => Promise<void>,
): Promise<number> {
  let code: number = EXIT.ok;
  for (const word of words) {
    try {
      await action(word);
    } catch (error) {
      if (!(error instanceof V2Error)) throw error;
      const hint = error.remedy === undefined ? "" : `\n    ${error.remedy}`;
      process.stderr.write(`v2: ${word}: ${error.message}${hint}\n`);
      code = EXIT.failed;
    }
  }
  return code;
}
