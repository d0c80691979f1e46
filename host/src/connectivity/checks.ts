import { isIP } from "node:net";
import { ROLES, type Role, SERVICE, SERVICE_HTTP, SERVICE_UDP } from "./objects.js";
import type { Probe, ProbeResult } from "./probe.js";
import { HTTP_PORT, UDP_PORT } from "./server.js";

export type Family = "v4" | "v6";
export const FAMILIES: readonly Family[] = ["v4", "v6"];
export type Transport = "tcp" | "udp";

/** An address of each family that there is. */
export type Addresses = Partial<Record<Family, string>>;

/** What a test has to call. */
export interface World {
  readonly namespace: string;
  readonly pods: ReadonlyMap<Role, { readonly node: string; readonly addresses: Addresses }>;
  readonly service: Addresses;
  readonly nodePorts: Readonly<Record<Transport, number>>;
  /** The nodes under test, by name. */
  readonly nodes: ReadonlyMap<string, Addresses>;
  /** HOST:PORT or URLs that the user asked for. */
  readonly outside: readonly string[];
}

/** Who calls: a pod of the test, or the node itself by name. */
export type Caller = { readonly pod: Role } | { readonly node: string };

/** One call, and what is to come of it. */
export interface Check {
  /** A row of the matrix. */
  readonly path: string;
  readonly from: Caller;
  readonly to: string;
  readonly transport: Transport | "any";
  /** Absent: of no one family. */
  readonly family?: Family;
  readonly allowed: boolean;
  readonly probe: Omit<Probe, "id">;
  /** Who is to answer, one of them. */
  readonly servers?: readonly string[];
  /** As whom the caller is to be seen. */
  readonly client?: string;
}

/** What came of it. */
export interface Outcome {
  readonly check: Check;
  readonly ok: boolean;
  /** What was wrong; empty: nothing. */
  readonly error: string;
  readonly ms: number;
}

const TRY_MS = 3000;
const TRIES = 3;
/** What is to be refused is tried once, for as long as an answer could take. */
const REFUSED_MS = 1500;
/** Of TCP, enough to fill segments: paths whose MTU is wrong let small packets pass. */
const BULK_BYTES = 100_000;

/** With no policy in place. */
export function openChecks(world: World): Check[] {
  return [
    ...podChecks(world),
    ...serviceChecks(world),
    ...nameChecks(world),
    ...nodeChecks(world),
    ...outsideChecks(world),
  ];
}

/** With policyObjects() in place. */
export function policyChecks(world: World): Check[] {
  const rules: [Role, Role, Transport, boolean][] = [
    ["client", "near", "tcp", true],
    ["client", "near", "udp", true],
    ["stranger", "near", "tcp", false],
    ["stranger", "near", "udp", false],
    ["client", "far", "tcp", true],
    ["client", "far", "udp", false],
    ["stranger", "client", "tcp", false],
    ["client", "stranger", "tcp", true],
  ];
  return rules.flatMap(([from, to, transport, allowed]) =>
    toPod(world, { pod: from }, to, transport, allowed ? "policy allows" : "policy denies", allowed),
  );
}

function podChecks(world: World): Check[] {
  const pairs: [Role, Role, string][] = [
    ["client", "near", "pod to pod, same node"],
    ["client", "far", "pod to pod, other node"],
    ["far", "client", "pod to pod, other node"],
  ];
  return pairs.flatMap(([from, to, path]) =>
    (["tcp", "udp"] as const).flatMap((transport) => toPod(world, { pod: from }, to, transport, path, true)),
  );
}

function serviceChecks(world: World): Check[] {
  const { service, nodePorts, nodes } = world;
  const from = { pod: "client" } as const;
  const clusterIp = both(service, ({ transport, ...at }) =>
    call({ ...at, path: "pod to service (ClusterIP)", from, to: SERVICE, transport, port: servicePort(transport) }),
  );
  const nodePort = [...nodes].flatMap(([node, addresses]) =>
    both(addresses, ({ transport, ...at }) =>
      call({ ...at, path: "pod to NodePort", from, to: `node ${node}`, transport, port: nodePorts[transport] }),
    ),
  );
  return [...clusterIp, ...nodePort].map((check) => ({ ...check, servers: serversOf(world) }));
}

/** By cluster DNS. */
function nameChecks(world: World): Check[] {
  const name = `${SERVICE}.${world.namespace}.svc`;
  const probe = probeOf("tcp", name, SERVICE_HTTP, true);
  const servers = serversOf(world);
  return [
    {
      path: "pod to service by DNS",
      from: { pod: "client" },
      to: name,
      transport: "tcp",
      allowed: true,
      probe,
      servers,
    },
  ];
}

/** Of the client's node: its own pod, another node's, and a service. */
function nodeChecks(world: World): Check[] {
  const node = world.pods.get("client")?.node;
  if (node === undefined) return [];
  const from = { node };
  const pods = (["near", "far"] as const).flatMap((to) =>
    (["tcp", "udp"] as const).flatMap((transport) => toPod(world, from, to, transport, "node to pod", true)),
  );
  const service = both(world.service, ({ transport, ...at }) =>
    call({ ...at, path: "node to service (ClusterIP)", from, to: SERVICE, transport, port: servicePort(transport) }),
  );
  // The kernel chooses the node's address: which one is not said.
  return [
    ...pods.map(({ client: _, ...check }) => check),
    ...service.map((check) => ({ ...check, servers: serversOf(world) })),
  ];
}

function outsideChecks({ outside }: World): Check[] {
  return outside.map((target) => {
    const isUrl = target.includes("://");
    const { host, port } = isUrl ? { host: target, port: 0 } : hostAndPort(target);
    const family: { family?: Family } = isIP(host) === 0 ? {} : { family: isIP(host) === 4 ? "v4" : "v6" };
    return {
      path: "pod to outside",
      from: { pod: "client" as const },
      to: target,
      transport: "tcp" as const,
      allowed: true,
      ...family,
      probe: {
        kind: isUrl ? ("url" as const) : ("open" as const),
        host,
        port,
        bytes: 0,
        timeoutMs: TRY_MS,
        tries: TRIES,
      },
    };
  });
}

/** "example.com:443", "[2001:db8::1]:443" */
export function hostAndPort(text: string): { host: string; port: number } {
  const { v6, name, port } = /^(\[(?<v6>[^\]]+)\]|(?<name>[^:]+)):(?<port>\d{1,5})$/.exec(text)?.groups ?? {};
  return { host: v6 ?? name ?? "", port: Number(port) };
}

function toPod(world: World, from: Caller, to: Role, transport: Transport, path: string, allowed: boolean): Check[] {
  const target = world.pods.get(to);
  const caller = "pod" in from ? world.pods.get(from.pod) : undefined;
  if (target === undefined || ("pod" in from && caller === undefined)) return [];
  return FAMILIES.flatMap((family) => {
    const client = caller?.addresses[family];
    const check = call({
      path,
      from,
      to,
      transport,
      family,
      host: target.addresses[family],
      port: podPort(transport),
      allowed,
    });
    return check.map((each) => ({ ...each, servers: [to], ...(client === undefined ? {} : { client }) }));
  });
}

interface Call {
  readonly path: string;
  readonly from: Caller;
  readonly to: string;
  readonly transport: Transport;
  readonly family: Family;
  readonly host: string | undefined;
  readonly port: number;
  readonly allowed?: boolean;
}

/** None where there is no such address. */
function call({ host, port, allowed = true, ...check }: Call): Check[] {
  if (host === undefined) return [];
  return [{ ...check, allowed, probe: probeOf(check.transport, host, port, allowed) }];
}

function both(
  addresses: Addresses,
  make: (at: { family: Family; host: string | undefined; transport: Transport }) => Check[],
): Check[] {
  return FAMILIES.flatMap((family) =>
    (["tcp", "udp"] as const).flatMap((transport) => make({ family, transport, host: addresses[family] })),
  );
}

function probeOf(kind: Transport, host: string, port: number, allowed: boolean): Omit<Probe, "id"> {
  const patience = allowed ? { timeoutMs: TRY_MS, tries: TRIES } : { timeoutMs: REFUSED_MS, tries: 1 };
  return { kind, host, port, bytes: kind === "tcp" && allowed ? BULK_BYTES : 0, ...patience };
}

const podPort = (transport: Transport) => (transport === "tcp" ? HTTP_PORT : UDP_PORT);
const servicePort = (transport: Transport) => (transport === "tcp" ? SERVICE_HTTP : SERVICE_UDP);
const serversOf = ({ pods }: World): Role[] => ROLES.filter((role) => /near|far/.test(role) && pods.has(role));

/** What a result means for what was to come of the call. */
export function judge(check: Check, result: ProbeResult | undefined): Outcome {
  const ms = result?.ms ?? 0;
  const outcome = (error: string): Outcome => ({ check, ok: error === "", error, ms });
  if (result === undefined) return outcome("the call was not made");
  if (!check.allowed) return outcome(result.ok ? "was answered, which the policy forbids" : "");
  if (!result.ok) return outcome(result.error ?? "failed");
  const { servers, client } = check;
  if (servers !== undefined && !servers.includes(result.server ?? "")) return outcome(`${result.server} answered`);
  if (client !== undefined && result.client !== client) return outcome(`the server saw ${result.client} as the caller`);
  return outcome("");
}
