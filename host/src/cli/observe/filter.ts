import { InvalidArgumentError } from "commander";
import { alsoCarried } from "./carried.js";
import type { PacketEvent, Verdict } from "./event.js";

/** Which events are wanted; each that is absent leaves all. */
export interface EventFilter {
  readonly verdict?: Verdict;
  /** Names as podPattern() gives them: either end has to match, one of several. */
  readonly pod?: readonly string[];
  readonly fromPod?: readonly string[];
  readonly toPod?: readonly string[];
  readonly dropReason?: readonly string[];
  readonly protocol?: string;
  readonly port?: number;
}

/** "web", "shop/web-*", "shop/": a pod's name with its namespace; a star stands for any characters. */
export function podPattern(text: string, before: readonly string[] = []): string[] {
  const [namespace, name, ...more] = text.includes("/") ? text.split("/") : ["default", text];
  const isPattern = (part: string | undefined) => /^[a-z0-9.*-]*$/.test(part ?? "");
  if (namespace === "" || more.length > 0 || !isPattern(namespace) || !isPattern(name) || text === "") {
    throw new InvalidArgumentError(
      `Found "${text}"; allowed: NAME, NAMESPACE/NAME or NAMESPACE/, with * for any characters.`,
    );
  }
  return [...before, `${namespace}/${name === "" ? "*" : name}`];
}

export function matchesPattern(pattern: string, name: string): boolean {
  const parts = pattern.split("*").map((part) => part.replace(/[.\\+?^${}()|[\]]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`).test(name);
}

export const isExact = (pattern: string): boolean => !pattern.includes("*");

export function matches(filter: EventFilter, event: PacketEvent): boolean {
  const { verdict, pod, fromPod, toPod, dropReason, protocol, port } = filter;
  const { source, destination } = event;
  const isOf = (patterns: readonly string[] | undefined, ...ends: PacketEvent["source"][]) =>
    patterns === undefined ||
    ends.some(({ kind, name }) => kind === "pod" && patterns.some((pattern) => matchesPattern(pattern, name ?? "")));
  return (
    (verdict === undefined || event.verdict === verdict) &&
    isOf(pod, source, destination) &&
    isOf(fromPod, source) &&
    isOf(toPod, destination) &&
    (dropReason === undefined || dropReason.includes(event.reason ?? "")) &&
    (protocol === undefined || event.protocol.toLowerCase() === protocol) &&
    (port === undefined || source.port === port || destination.port === port)
  );
}

/** What the wanted pods' addresses are known to be; each side absent where it may be any. */
export interface WantedAddresses {
  readonly either?: readonly string[];
  readonly source?: readonly string[];
  readonly destination?: readonly string[];
}

/** Characters that the dataplane's filters may have. */
const LONGEST = 4096;

/**
 * A filter in pcap-filter(7)'s syntax for what nodes are to copy: no more than needed, and all that may be wanted.
 * Packets that are carried to another node in VXLAN are looked into.
 * @param networks of pods: what is looked at where no addresses say more, or too many
 * @param words the user's own filter @throws InvalidArgumentError where that can't be looked for in what is carried
 */
export function packetFilter(networks: readonly string[], wanted: WantedAddresses, words: string): string {
  const hosts = (way: string, addresses: readonly string[] = []) =>
    addresses.length === 0 ? [] : [anyOf(addresses.map((address) => `${way}host ${address}`))];
  const named = [...hosts("", wanted.either), ...hosts("src ", wanted.source), ...hosts("dst ", wanted.destination)];
  const places = networks.length === 0 ? [] : [anyOf(networks.map((cidr) => `net ${cidr}`))];
  const own = words === "" ? [] : [`(${words})`];
  const narrow = alsoCarried([...(named.length > 0 ? named : places), ...own].join(" and "));
  return narrow.length <= LONGEST ? narrow : alsoCarried([...places, ...own].join(" and "));
}

const anyOf = (filters: readonly string[]) => (filters.length === 1 ? (filters[0] ?? "") : `(${filters.join(" or ")})`);
