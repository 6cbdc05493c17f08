/** Tells who writes where and who calls whom, and refuses mail: `v2 view -p audit -- CMD`. */
import { module } from "virtualsquare/viewos";

const tell = (call, what) => console.log(`${call.pid} ${call.operation} ${what}`);

export default module("audit", {
  on: {
    open: { when: { write: true }, do: (call) => (tell(call, call.path), call.pass()) },
    unlink: (call) => (tell(call, call.path), call.pass()),
    connect: (call) => {
      tell(call, call.addr.path ?? `${call.addr.host} port ${call.addr.port}`);
      return call.addr.port === 25 ? call.fail("ECONNREFUSED") : call.pass();
    },
  },
});
