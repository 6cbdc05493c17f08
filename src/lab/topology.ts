/** A topology after inheritance and checks: what the runner starts. */

export interface Topology {
  readonly name: string;
  readonly switches: readonly SwitchNode[];
  readonly views: readonly ViewNode[];
  readonly stacks: readonly StackNode[];
}

export interface SwitchNode {
  readonly name: string;
  /** Number of ports; undefined: the switch's default. */
  readonly ports: number | undefined;
}

/** A host that is an IPv4/IPv6 stack of our own in the lab's process: no kernel is behind it. */
export interface StackNode {
  readonly name: string;
  readonly interface: InterfacePlan;
  /** Absolute path of a directory that its web server at port 80 shows; undefined: no server. */
  readonly serve: string | undefined;
}

export interface ViewNode {
  readonly name: string;
  /** The user is uid 0 inside. */
  readonly root: boolean;
  readonly interfaces: readonly InterfacePlan[];
  /** "type:source:target[:options]", in the order they are made. */
  readonly mounts: readonly string[];
  readonly image: ImageMount | undefined;
  /** Commands for /bin/sh, run in order after the network is up. */
  readonly exec: readonly string[];
  readonly env: { readonly [name: string]: string };
}

export interface InterfacePlan {
  /** "eth0". */
  readonly name: string;
  /** Name of the switch at the other end of its cable. */
  readonly switch: string;
  /** Port of the switch; undefined: any free one. */
  readonly port: number | undefined;
  /** With prefix lengths: IPv4 first. */
  readonly addresses: readonly string[];
  readonly mac: string;
  readonly mtu: number | undefined;
  readonly gateway: string | undefined;
  readonly via: "auto" | "tap" | "veth";
}

export interface ImageMount {
  /** Absolute path of a file-system image on the host. */
  readonly file: string;
  /** Where the view sees its files. */
  readonly mount: string;
}
