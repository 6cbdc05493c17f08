/** A /tmp of its own, in a directory of yours: `v2 view -p tmp,dir=$HOME/t -- CMD`. */
import { module } from "virtualsquare/viewos";

const OPERATIONS =
  "open stat access readlink statfs getxattr setxattr unlink rmdir mkdir rename link symlink " +
  "chmod chown truncate utimes";

export default ({ dir }) => {
  if (!dir?.startsWith("/")) throw new Error("which directory? tmp,dir=/absolute/path");
  const isThere = (path) => path === dir || path.startsWith(`${dir}/`);
  const moved = (path) => (isThere(path) ? path : path.replace(/^\/tmp(?=\/|$)/, dir));
  const redirect = (call) =>
    call.emulate({
      path: moved(call.path),
      ...(call.newPath === undefined ? {} : { newPath: moved(call.newPath) }),
    });
  return module("tmp", {
    on: Object.fromEntries(
      OPERATIONS.split(" ").map((name) => [name, { when: { path: "/tmp/**" }, do: redirect }]),
    ),
  });
};
