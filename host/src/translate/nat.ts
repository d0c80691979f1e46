import type { EndpointSliceRecord, ServiceRecord } from "../cluster/records.js";
import type { Problem } from "../errors.js";
import { ofFamily } from "./families.js";
import { type HostPort, translateHostPorts } from "./host-ports.js";
import type { NatConfig, NatMasquerade, NatService } from "./plugin-configs.js";
import { type ServiceNode, type TranslatedServices, translateService } from "./services.js";

export interface NatNode extends ServiceNode {
  /** Prefixes of all pods of the cluster. */
  readonly podCidrs: readonly string[];
  /** Pods' connections to the outside get the node's address. */
  readonly masquerade: boolean;
  readonly hostPorts: readonly HostPort[];
}

export interface TranslatedNat {
  readonly config: NatConfig;
  readonly problems: readonly Problem[];
}

/**
 * Services and their endpoints as they are now, translated for one node: what has not changed is not translated again, so that
 * a change costs the same in a small and in a large cluster but for the copying of the list.
 */
export class NatTranslation {
  private readonly services = new Map<string, ServiceRecord>();
  /** By service, then by the slice's own name. */
  private readonly slices = new Map<string, Map<string, EndpointSliceRecord>>();
  /** The service of each slice, which a slice that is removed no longer tells. */
  private readonly serviceOfSlice = new Map<string, string>();
  private readonly translated = new Map<string, TranslatedServices>();
  private translatedFor = "";

  setService(service: ServiceRecord): void {
    const key = keyOf(service);
    this.services.set(key, service);
    this.translated.delete(key);
  }

  removeService(namespace: string, name: string): void {
    const key = keyOf({ namespace, name });
    this.services.delete(key);
    this.translated.delete(key);
  }

  setSlice(slice: EndpointSliceRecord): void {
    this.removeSlice(slice.namespace, slice.name);
    const service = keyOf({ namespace: slice.namespace, name: slice.service });
    const slices = this.slices.get(service) ?? new Map<string, EndpointSliceRecord>();
    this.slices.set(service, slices.set(slice.name, slice));
    this.serviceOfSlice.set(keyOf(slice), service);
    this.translated.delete(service);
  }

  removeSlice(namespace: string, name: string): void {
    const key = keyOf({ namespace, name });
    const service = this.serviceOfSlice.get(key);
    if (service === undefined) return;
    this.serviceOfSlice.delete(key);
    const slices = this.slices.get(service);
    slices?.delete(name);
    if (slices?.size === 0) this.slices.delete(service);
    this.translated.delete(service);
  }

  /** The configuration of the node's nat plugin. */
  translate(node: NatNode): TranslatedNat {
    const view: ServiceNode = { name: node.name, addresses: node.addresses };
    const servedFor = JSON.stringify(view);
    if (servedFor !== this.translatedFor) this.translated.clear();
    this.translatedFor = servedFor;
    const services: NatService[] = [];
    const problems: Problem[] = [];
    for (const key of [...this.services.keys()].sort()) {
      const translated = this.translatedService(key, view);
      services.push(...translated.services);
      problems.push(...translated.problems);
    }
    services.push(...translateHostPorts(node.hostPorts, view));
    const { distinct, repeats } = withoutRepeats(services);
    const config = { services: distinct, masquerade: masqueradeOf(node), hairpin: hairpinOf(node) };
    return { config, problems: [...problems, ...repeats] };
  }

  private translatedService(key: string, node: ServiceNode): TranslatedServices {
    const known = this.translated.get(key);
    if (known !== undefined) return known;
    const slices = [...(this.slices.get(key)?.values() ?? [])];
    const translated = translateService(this.services.get(key) as ServiceRecord, slices, node);
    this.translated.set(key, translated);
    return translated;
  }
}

const keyOf = ({ namespace, name }: { namespace: string; name: string }): string => `${namespace}/${name}`;

/** The plugin refuses an address, port and protocol that it has already: the first one keeps it. */
function withoutRepeats(services: readonly NatService[]): { distinct: NatService[]; repeats: Problem[] } {
  const owners = new Map<string, string>();
  const repeats: Problem[] = [];
  const distinct = services.filter(({ vip, port, protocol, name }) => {
    const key = `${vip} ${port} ${protocol}`;
    const owner = owners.get(key);
    owners.set(key, owner ?? name);
    if (owner === undefined) return true;
    repeats.push({
      code: "address-taken",
      path: `/services/${name}`,
      message: `${protocol} port ${port} of ${vip} is ${owner}'s`,
    });
    return false;
  });
  return { distinct, repeats };
}

/** What leaves the pods' network, except to the node itself. */
function masqueradeOf({ masquerade, podCidrs, addresses }: NatNode): NatMasquerade[] {
  if (!masquerade) return [];
  return podCidrs.flatMap((source) => {
    const family = source.includes(":") ? 6 : 4;
    const to = ofFamily(addresses, family);
    if (to === undefined) return [];
    const near = podCidrs.filter((prefix) => prefix.includes(":") === source.includes(":"));
    return [{ source, except: [...near, `${to}/${family === 4 ? 32 : 128}`], to }];
  });
}

/** A pod that reaches itself through a service sees the node, which every pod lets in. */
function hairpinOf({ addresses }: NatNode): NatConfig["hairpin"] {
  const [ipv4, ipv6] = [ofFamily(addresses, 4), ofFamily(addresses, 6)];
  return { ...(ipv4 === undefined ? {} : { ipv4 }), ...(ipv6 === undefined ? {} : { ipv6 }) };
}
