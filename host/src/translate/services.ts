import type { EndpointSliceRecord, ServiceRecord } from "../cluster/records.js";
import { type Family, familyOf, ofFamily } from "../config/addresses.js";
import type { Problem } from "../errors.js";
import { present } from "../present.js";
import { type BackendChoice, backendsOf } from "./endpoints.js";
import type { L4Protocol, NatService } from "./plugin-configs.js";

/** Of plugins/nat, for one service. */
const MOST_BACKENDS = 512;

/** The node whose plugin is configured. */
export interface ServiceNode {
  readonly name: string;
  /** Those that node ports are served on, and that clients from outside are hidden behind: of each family at most one. */
  readonly addresses: readonly string[];
}

export interface TranslatedServices {
  readonly services: readonly NatService[];
  readonly problems: readonly Problem[];
}

type ServicePort = ServiceRecord["ports"][number];

/** An address that a service is reached at, and how. */
interface Frontend {
  readonly vip: string;
  readonly family: Family;
  readonly port: number;
  readonly shared: boolean;
  /** Reached from outside the cluster: backends elsewhere answer through this node. */
  readonly external: boolean;
}

/**
 * A service as the node serves it: at its cluster addresses, node ports, external and load balancer addresses. Headless
 * services and those of type ExternalName have none.
 */
export function translateService(
  service: ServiceRecord,
  slices: readonly EndpointSliceRecord[],
  node: ServiceNode,
): TranslatedServices {
  if (service.type === "ExternalName") return { services: [], problems: [] };
  const path = `/services/${service.namespace}/${service.name}`;
  const problems: Problem[] = [];
  const services = service.ports.flatMap((port) =>
    frontendsOf(service, port, node).map((frontend) => {
      const backends = backendsOf(slices, port, choiceOf(service, frontend, node));
      if (backends.length > MOST_BACKENDS) {
        const message = `it has ${backends.length} backends; the first ${MOST_BACKENDS} by address are used`;
        problems.push({ code: "too-many-backends", path, message });
      }
      return natService(service, port, frontend, node, backends.slice(0, MOST_BACKENDS));
    }),
  );
  return { services, problems };
}

function frontendsOf(service: ServiceRecord, { port, nodePort }: ServicePort, node: ServiceNode): Frontend[] {
  const at = (vips: readonly string[], number: number, kind: { shared: boolean; external: boolean }): Frontend[] =>
    vips.map((vip) => ({ vip, family: familyOf(vip), port: number, ...kind }));
  const inside = at(service.clusterIPs, port, { shared: false, external: false });
  const outside = at([...service.externalIPs, ...service.loadBalancerIPs], port, { shared: false, external: true });
  const families = new Set(inside.map(({ family }) => family));
  const onNode =
    nodePort === undefined || service.type === "ClusterIP"
      ? []
      : at(node.addresses, nodePort, { shared: true, external: true }).filter(({ family }) => families.has(family));
  return [...inside, ...outside, ...onNode];
}

function choiceOf(service: ServiceRecord, { family, external }: Frontend, node: ServiceNode): BackendChoice {
  const policy = external ? service.externalTrafficPolicy : service.internalTrafficPolicy;
  return policy === "Local" ? { family, node: node.name } : { family };
}

function natService(
  service: ServiceRecord,
  { name, protocol }: ServicePort,
  frontend: Frontend,
  node: ServiceNode,
  backends: NatService["backends"],
): NatService {
  const hidden = frontend.external && service.externalTrafficPolicy === "Cluster";
  const sourceNat = hidden ? ofFamily(node.addresses, frontend.family) : undefined;
  return {
    name: `${service.namespace}/${service.name}${name === undefined ? "" : `:${name}`}`,
    vip: frontend.vip,
    port: frontend.port,
    protocol: protocol.toLowerCase() as L4Protocol,
    ...(frontend.shared ? { shared: true } : {}),
    ...present({ sourceNat, affinitySeconds: service.affinitySeconds }),
    backends,
  };
}
