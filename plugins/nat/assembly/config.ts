import { IpAddress, PortRange, Prefix } from "@sluice/sdk";

/** IP protocol numbers of what a service can be. */
export enum ServiceProtocol {
  Tcp = 6,
  Udp = 17,
  Sctp = 132
}

@config
export class BackendConfig {
  address: IpAddress;
  /** The service's when absent */
  @minimum(1) port: u16 = 0;
  /** 0: keeps its flows, gets no new ones */
  @maximum(1000) weight: u32 = 1;
}

@config
export class ServiceConfig {
  name: string | null = null;
  /** The service's IPv4 or IPv6 address */
  vip: IpAddress;
  @minimum(1) port: u16;
  protocol: ServiceProtocol;
  /** true: the address has other uses too, such as a node's own */
  shared: bool = false;
  /** The address that backends see instead of the client's */
  sourceNat: IpAddress | null = null;
  /** Seconds that a client's new flows go where its last one went; 0: each flow goes where its hash says */
  @maximum(86400) affinitySeconds: u32 = 0;
  @maxItems(512) backends: BackendConfig[];
}

@config
export class MasqueradeConfig {
  /** Prefix of the flows' sources */
  source: Prefix;
  /** Prefixes of destinations that see the true source */
  except: Prefix[] = [];
  /** The address that destinations see */
  to: IpAddress;
  /** Source ports to use, such as 32768-60999; 1024-65535 when absent */
  ports: PortRange | null = null;
}

@config
export class HairpinConfig {
  ipv4: IpAddress | null = null;
  ipv6: IpAddress | null = null;
}

@config
export class NatConfig {
  services: ServiceConfig[] = [];
  masquerade: MasqueradeConfig[] = [];
  /** The sources that a backend sees when it calls its own service and gets itself */
  hairpin: HairpinConfig = new HairpinConfig();
  /** TCP and SCTP flows of a backend that is gone */
  @oneOf("keep", "drop") removedBackend: string = "keep";
}
