/** One parser under fire. A new target is one entry in a table such as WIRE_TARGETS. */
export interface FuzzTarget {
  readonly name: string;
  /** Sound inputs to start from; at least one, none empty. */
  seeds(): readonly Uint8Array[];
  /** Throws when the parser throws, or breaks a promise of its own. Must not keep `octets`. */
  run(octets: Uint8Array): void;
}
