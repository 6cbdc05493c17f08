/** `npm run conformance -- SUITE …`: suites of other projects, run against the stack. */
import { packetdrill } from "./packetdrill.ts";

const [suite, ...words] = process.argv.slice(2);
if (suite === "packetdrill") process.exitCode = await packetdrill(words);
else {
  process.stderr.write(
    "npm run conformance -- packetdrill BIN DIR [ipv4|ipv6|ipv4-mapped-ipv6]…\n",
  );
  process.exitCode = 2;
}
