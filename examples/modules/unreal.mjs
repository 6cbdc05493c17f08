/** Everything twice: /unreal/X is X, and so is /unreal/unreal/X. `v2 view -p unreal -- CMD` */
import { module } from "virtualsquare/viewos";

const OPERATIONS =
  "open stat access readlink statfs getxattr setxattr unlink rmdir mkdir rename link symlink " +
  "chmod chown truncate utimes mknod";
const TREE = "/unreal";

const real = (path) => path.replace(/^\/*(?:unreal(?:\/+|$))+/, "/");
const onTheRealOne = (call) =>
  call.emulate({
    path: real(call.given),
    ...(call.newGiven === undefined ? {} : { newPath: real(call.newGiven) }),
  });

export default module("unreal", {
  on: Object.fromEntries(
    OPERATIONS.split(" ").map((name) => [name, { when: { path: `${TREE}/**` }, do: onTheRealOne }]),
  ),
});
