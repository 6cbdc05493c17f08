/** No sockets but those of the named families: `v2 view -p families,unix,inet -- CMD`. */
import { module } from "virtualsquare/viewos";

export default (options) =>
  module("families", {
    on: {
      socket: (call) =>
        call.family in options ? call.emulate() : call.fail("EAFNOSUPPORT"),
    },
  });
