/** Takes every call that can be, and has it performed by the supervisor instead of the kernel. */
import { CANNOT_EMULATE, module, OPERATIONS } from "virtualsquare/viewos";

const perform = (call) => call.emulate();
const possible = OPERATIONS.filter((operation) => !CANNOT_EMULATE.has(operation));

export default module("real", {
  on: Object.fromEntries(possible.map((operation) => [operation, perform])),
});
