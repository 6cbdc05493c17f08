/** Counts calls; `cat /counts` shows them: `v2 view -p count -- sh -c 'make; cat /counts'`. */
import { module, OPERATIONS } from "virtualsquare/viewos";

const counts = new Map();
const table = () => [...counts].map(([name, count]) => `${count} ${name}\n`).join("");
const count = (call) => {
  counts.set(call.operation, (counts.get(call.operation) ?? 0) + 1);
  return call.path === "/counts" && call.operation === "open" ? call.reply(table()) : call.pass();
};

export default module("count", {
  on: Object.fromEntries(OPERATIONS.map((operation) => [operation, count])),
});
