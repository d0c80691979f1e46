// What the translations write: the configurations of plugins/nat and plugins/policy, of which the plugins' own classes are the
// definition. A test holds what is written here against the JSON schemas of the compiled plugins.

export type L4Protocol = "tcp" | "udp" | "sctp";

export interface NatBackend {
  readonly address: string;
  readonly port: number;
}

export interface NatService {
  readonly name: string;
  readonly vip: string;
  readonly port: number;
  readonly protocol: L4Protocol;
  /** The address has other uses too, such as a node's own. */
  readonly shared?: true;
  /** What backends see instead of the client's address. */
  readonly sourceNat?: string;
  /** That a client stays with its backend. */
  readonly affinitySeconds?: number;
  readonly backends: readonly NatBackend[];
}

export interface NatMasquerade {
  readonly source: string;
  readonly except: readonly string[];
  readonly to: string;
}

export interface NatConfig {
  readonly services: readonly NatService[];
  readonly masquerade: readonly NatMasquerade[];
  readonly hairpin: { readonly ipv4?: string; readonly ipv6?: string };
}

export interface PolicyRule {
  readonly name: string;
  readonly action: "allow" | "deny";
  readonly source?: readonly string[];
  readonly destination?: readonly string[];
  readonly protocol?: L4Protocol;
  /** A number, or "first-last". */
  readonly destinationPorts?: readonly (number | string)[];
}

export interface PolicyConfig {
  readonly defaultAction: "allow" | "deny";
  readonly rules: readonly PolicyRule[];
}
