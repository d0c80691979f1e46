import type { EndpointSliceRecord, ServiceRecord } from "../cluster/records.js";
import { type Family, familyOf } from "../config/addresses.js";
import type { NatBackend } from "./plugin-configs.js";

type ServicePort = ServiceRecord["ports"][number];
type Endpoint = EndpointSliceRecord["endpoints"][number];

export interface BackendChoice {
  readonly family: Family;
  /** Only endpoints on this node, as of traffic policy Local. */
  readonly node?: string;
}

/**
 * Where a service's port leads, sorted, each once. As kube-proxy chooses: the endpoints that are ready; where none is, those
 * that still serve while they terminate.
 */
export function backendsOf(
  slices: readonly EndpointSliceRecord[],
  port: ServicePort,
  { family, node }: BackendChoice,
): NatBackend[] {
  const candidates = slices
    .filter((slice) => slice.addressType === `IPv${family}`)
    .flatMap((slice) => {
      const number = portOf(slice, port);
      if (number === undefined) return [];
      return slice.endpoints.map((endpoint) => ({ endpoint, port: number }));
    })
    .filter(({ endpoint }) => node === undefined || endpoint.node === node);
  const ready = candidates.filter(({ endpoint }) => endpoint.ready);
  const chosen = ready.length > 0 ? ready : candidates.filter(({ endpoint }) => servesWhileTerminating(endpoint));
  const backends = chosen.flatMap(({ endpoint, port: number }) =>
    endpoint.addresses.filter((address) => familyOf(address) === family).map((address) => ({ address, port: number })),
  );
  return distinct(backends);
}

function servesWhileTerminating({ serving, terminating }: Endpoint): boolean {
  return serving && terminating;
}

/** The number that the slice gives to the service's port: ports are told by name and protocol. */
function portOf(slice: EndpointSliceRecord, { name = "", protocol, port }: ServicePort): number | undefined {
  const found = slice.ports.find((candidate) => (candidate.name ?? "") === name && candidate.protocol === protocol);
  return found === undefined ? undefined : (found.port ?? port);
}

function distinct(backends: readonly NatBackend[]): NatBackend[] {
  const byText = new Map(backends.map((backend) => [`${backend.address} ${backend.port}`, backend]));
  return [...byText.keys()].sort().map((text) => byText.get(text) as NatBackend);
}
