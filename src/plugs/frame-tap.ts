/** Something that looks at the frames of a cable without taking part in their way. */
export interface FrameTap {
  /** `slots[from … from + count)` came by a port, or left by it. */
  see(slots: Int32Array, from: number, count: number, port: number, isOut: boolean): void;
}
