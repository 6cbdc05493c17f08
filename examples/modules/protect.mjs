/** Nothing below a tree is changed: `v2 view -p protect,path=/srv -- CMD`. */
import { module, opensForWriting } from "virtualsquare/viewos";

const CHANGES = "unlink rmdir mkdir rename link symlink chmod chown truncate utimes setxattr mknod";

export default ({ path: tree = "/etc" }) => {
  const above = (path) => tree === path || tree.startsWith(path === "/" ? "/" : `${path}/`);
  const within = (path) => path === tree || path.startsWith(`${tree}/`);
  const deny = (call) => call.fail("EROFS");
  const when = { path: `${tree}/**` };
  return module("protect", {
    on: {
      ...Object.fromEntries(CHANGES.split(" ").map((name) => [name, { when, do: deny }])),
      open: (call) =>
        within(call.path) && opensForWriting(call.flags) ? deny(call) : call.emulate(),
      // A directory above must not be moved away, nor anything be put in its place.
      rename: (call) =>
        [call.path, call.newPath].some((path) => within(path) || above(path))
          ? deny(call)
          : call.emulate(),
    },
  });
};
