/**
 * VNL, the name of a cable: `scheme://address`, or a bare path, which means `vde://`. An address
 * may end with a port in brackets: `vde:///run/lan[3]`. A new scheme is one file and one line here.
 */
import { V2Error } from "../base/index.ts";
import { openRaw, openStream } from "./character-end.ts";
import { openCommand } from "./cmd-end.ts";
import type { CableEnd } from "./end.ts";
import { openNull } from "./null-end.ts";
import { TapEnd } from "./tap.ts";
import { openVdeName } from "./vde-end.ts";

/** What a scheme is given. */
export interface OpenOptions {
  /** What the other side may show for this cable. */
  readonly description?: string;
  /** Mode of socket names the end makes. */
  readonly mode?: number;
  /** Whoever uses the end can carry unfinished frames (CableEnd.offload); default false. */
  readonly offload?: boolean;
}

type Open = (address: string, options: OpenOptions) => CableEnd;

const SCHEMES: { readonly [scheme: string]: Open | undefined } = {
  vde: openVdeName,
  cmd: openCommand,
  tap: (address, { offload }) => new TapEnd(address, offload),
  null: openNull,
  raw: openRaw,
  stream: openStream,
};

/** The schemes that `openEnd` knows. */
export function schemes(): string[] {
  return Object.keys(SCHEMES);
}

/** Splits a VNL. @returns scheme and address as they stand. */
export function parseVnl(vnl: string): { readonly scheme: string; readonly address: string } {
  const at = vnl.indexOf("://");
  return at === -1
    ? { scheme: "vde", address: vnl }
    : { scheme: vnl.slice(0, at), address: vnl.slice(at + 3) };
}

/**
 * Opens a cable end by name.
 * @throws V2Error when the scheme is unknown or the end cannot be opened.
 */
export function openEnd(vnl: string, options: OpenOptions = {}): CableEnd {
  const { scheme, address } = parseVnl(vnl);
  const open = Object.hasOwn(SCHEMES, scheme) ? SCHEMES[scheme] : undefined;
  if (open === undefined) {
    throw new V2Error("UNKNOWN_SCHEME", `no plug '${scheme}' for '${vnl}'`, {
      remedy: `known plugs: ${schemes().join(", ")}`,
    });
  }
  return open(address, options);
}
