/** Nobody sets the clock; with `pretend` they are told that they did: `-p clock,pretend`. */
import { module } from "virtualsquare/viewos";

export default ({ pretend }) =>
  module("clock", {
    on: {
      settime: (call) => {
        console.log(`${call.pid} wants to set clock ${call.clock}`);
        return pretend === undefined ? call.fail("EPERM") : call.reply();
      },
    },
  });
