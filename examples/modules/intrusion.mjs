/**
 * Finds intruders by what they do: a process that reads secrets and then calls out, or that runs a
 * program from a directory where anybody can write, is told of and gets no further.
 */
import { module } from "virtualsquare/viewos";

const SECRETS = ["/etc/shadow", "**/.ssh/**", "**/.aws/**", "**/.netrc"];
const LOOSE = ["/tmp/**", "/var/tmp/**", "/dev/shm/**"];

const hasRead = new Map();
const alarm = (call, what) => {
  console.log(`ALARM process ${call.pid}: ${what}`);
  return call.fail("EACCES");
};

export default module("intrusion", {
  on: {
    open: {
      when: { path: SECRETS },
      do: (call) => (hasRead.set(call.pid, call.path), call.emulate()),
    },
    exec: {
      when: { path: LOOSE },
      do: (call) => alarm(call, `runs ${call.argv.join(" ")} from a loose directory`),
    },
    connect: (call) =>
      hasRead.has(call.pid) && call.addr.family !== "unix"
        ? alarm(call, `has read ${hasRead.get(call.pid)} and calls ${call.addr.host}`)
        : call.pass(),
  },
});
