/** null://: takes every frame, gives none. */
import type { FramePool } from "../base/index.ts";
import type { CableEnd } from "./end.ts";

/** An end that nothing is behind. */
export function openNull(): CableEnd {
  return {
    scheme: "null",
    description: "null://",
    receiveFd: -1,
    sendFd: -1,
    offload: true,
    receive: (_pool: FramePool, _slots: Int32Array, _count: number) => 0,
    send: (_pool: FramePool, _slots: Int32Array, _from: number, count: number) => count,
    close: () => undefined,
  };
}
