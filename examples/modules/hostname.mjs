/** Another machine name, for uname(2) only: `v2 view -p hostname,nodename=mars -- uname -n`. */
import { module } from "virtualsquare/viewos";

export default (options) =>
  module("hostname", {
    on: {
      uname: (call) => call.reply({ ...call.real(), ...options }),
    },
  });
