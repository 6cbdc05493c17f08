/** A file system in a dozen lines: every file holds its own name, louder. */
import { module, vfs } from "virtualsquare/viewos";

export default module("shout", {
  mount: () =>
    vfs({
      list: () => ["hello"],
      stat: (path) => ({ type: path === "/" ? "directory" : "file" }),
      read: (path) => `${path.slice(1).toUpperCase()}\n`,
      ttl: Infinity,
    }),
});
