import type { PackedSlice } from "../cluster/packed-slice.js";
import type { ServiceRecord } from "../cluster/records.js";
import { familyOf, ofFamily } from "../config/addresses.js";
import type { Problem } from "../errors.js";
import { type HostPort, translateHostPorts } from "./host-ports.js";
import type { NatConfig, NatMasquerade, NatService } from "./plugin-configs.js";
import { type ServiceNode, type TranslatedServices, translateService } from "./services.js";

export interface NatNode extends ServiceNode {
  /** Prefixes of all pods of the cluster. */
  readonly podCidrs: readonly string[];
  /** Pods' connections to the outside get the node's address. */
  readonly masquerade: boolean;
  readonly hostPorts: readonly HostPort[];
  /** Services' addresses and ports that the plugin has room for; absent: all. */
  readonly most?: number;
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
  private readonly slices = new Map<string, PackedSlice>();
  /** Of each service, in the order of their names. */
  private readonly slicesOfService = new Map<string, readonly PackedSlice[]>();
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

  setSlice(slice: PackedSlice): void {
    this.removeSlice(slice.namespace, slice.name);
    this.slices.set(keyOf(slice), slice);
    this.placeSlices(slice, (slices) => [...slices, slice].sort((a, b) => (a.name < b.name ? -1 : 1)));
  }

  removeSlice(namespace: string, name: string): void {
    const key = keyOf({ namespace, name });
    const slice = this.slices.get(key);
    if (slice === undefined) return;
    this.slices.delete(key);
    this.placeSlices(slice, (slices) => slices.filter((each) => each !== slice));
  }

  private placeSlices(
    { namespace, service }: PackedSlice,
    change: (slices: readonly PackedSlice[]) => readonly PackedSlice[],
  ): void {
    const key = keyOf({ namespace, name: service });
    const slices = change(this.slicesOfService.get(key) ?? []);
    if (slices.length === 0) this.slicesOfService.delete(key);
    else this.slicesOfService.set(key, slices);
    this.translated.delete(key);
  }

  /** The configuration of the node's nat plugin. */
  translate(node: NatNode): TranslatedNat {
    const view: ServiceNode = { name: node.name, addresses: node.addresses };
    const servedFor = JSON.stringify(view);
    if (servedFor !== this.translatedFor) this.translated.clear();
    this.translatedFor = servedFor;
    const services: NatService[] = [];
    const problems: Problem[] = [];
    for (const key of systemFirst([...this.services.keys()].sort())) {
      const translated = this.translatedService(key, view);
      services.push(...translated.services);
      problems.push(...translated.problems);
    }
    services.push(...translateHostPorts(node.hostPorts, view));
    const { distinct, repeats } = withoutRepeats(services);
    const served = distinct.slice(0, node.most);
    const config = { services: served, masquerade: masqueradeOf(node), hairpin: hairpinOf(node) };
    return { config, problems: [...problems, ...repeats, ...leftOut(distinct.length, served.length)] };
  }

  private translatedService(key: string, node: ServiceNode): TranslatedServices {
    const known = this.translated.get(key);
    if (known !== undefined) return known;
    const slices = (this.slicesOfService.get(key) ?? []).map((slice) => slice.record());
    const translated = translateService(this.services.get(key) as ServiceRecord, slices, node);
    this.translated.set(key, translated);
    return translated;
  }
}

const keyOf = ({ namespace, name }: { namespace: string; name: string }): string => `${namespace}/${name}`;

/** Where there is not room for all, the cluster's DNS has it first. */
function systemFirst(keys: readonly string[]): string[] {
  const isSystem = (key: string) => key.startsWith("kube-system/");
  return [...keys.filter(isSystem), ...keys.filter((key) => !isSystem(key))];
}

function leftOut(all: number, served: number): Problem[] {
  if (all === served) return [];
  const message = `the plugin has room for ${served} of ${all} addresses and ports; the others, the last by name, are not served`;
  return [{ code: "too-many-services", path: "/services", message }];
}

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
    const family = familyOf(source);
    const to = ofFamily(addresses, family);
    if (to === undefined) return [];
    const near = podCidrs.filter((prefix) => familyOf(prefix) === family);
    return [{ source, except: [...near, `${to}/${family === 4 ? 32 : 128}`], to }];
  });
}

/** A pod that reaches itself through a service sees the node, which every pod lets in. */
function hairpinOf({ addresses }: NatNode): NatConfig["hairpin"] {
  const [ipv4, ipv6] = [ofFamily(addresses, 4), ofFamily(addresses, 6)];
  return { ...(ipv4 === undefined ? {} : { ipv4 }), ...(ipv6 === undefined ? {} : { ipv6 }) };
}
