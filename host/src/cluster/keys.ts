// The layout of Sluice's own etcd. Values are JSON, one record a key; their schemas are in records.ts.
//
//   /sluice/v1/instance                             a random text, made once: another etcd has another
//   /sluice/v1/reflector                            the reflector that may write; every write of it is made on condition of this
//   /sluice/v1/complete                             there once the reflector has written all that the API has: before, what is
//                                                   missing is not gone, and agents keep what they know
//   /sluice/v1/mirror/<kind>/[<namespace>/]<name>   what the reflector keeps equal to the Kubernetes API
//   /sluice/v1/ipam/ids/<id>                        the node that has or had the id; made only where absent
//   /sluice/v1/ipam/nodes/<node>                    a node's id, made in one transaction with the key before
//   /sluice/v1/ipam/blocks/<pool>/<block>           the node that has the block; made only where absent
//   /sluice/v1/ipam/wants/<node>/<pool>             how many blocks the node's agent needs
//   /sluice/v1/plugins/<name>                       a Plugin as nodes are to run it
//   /sluice/v1/rollouts/<name>                      what became of a Plugin's versions; the reflector's own
//   /sluice/v1/modules/<digest>                     how many parts a module is in; made after all of them
//   /sluice/v1/modules/<digest>/<part>              a part of it, in base64
//   /sluice/v1/nodes/<node>                         what the node's agent reports of itself
//   /sluice/v1/endpoints/<node>/<id>                addresses that the node's agent handed out, by container and interface

const ROOT = "/sluice/v1";

/** Kinds of mirrored objects, with whether they live in a namespace. */
export const MIRRORED = {
  pods: true,
  namespaces: false,
  nodes: false,
  services: true,
  endpointslices: true,
  networkpolicies: true,
  nodeconfigs: false,
  ippools: false,
  servicecidrs: false,
  pipelines: false,
} as const;

export type MirroredKind = keyof typeof MIRRORED;

/** Says which etcd this is. */
export const INSTANCE_KEY = `${ROOT}/instance`;
export const COMPLETE_KEY = `${ROOT}/complete`;
export const REFLECTOR_KEY = `${ROOT}/reflector`;
export const MIRROR_PREFIX = `${ROOT}/mirror/`;
export const IPAM_PREFIX = `${ROOT}/ipam/`;
export const IDS_PREFIX = `${IPAM_PREFIX}ids/`;
export const NODE_IDS_PREFIX = `${IPAM_PREFIX}nodes/`;
export const BLOCKS_PREFIX = `${IPAM_PREFIX}blocks/`;
export const WANTS_PREFIX = `${IPAM_PREFIX}wants/`;
export const PLUGINS_PREFIX = `${ROOT}/plugins/`;
export const ROLLOUTS_PREFIX = `${ROOT}/rollouts/`;
export const MODULES_PREFIX = `${ROOT}/modules/`;
export const NODE_REPORTS_PREFIX = `${ROOT}/nodes/`;
export const ENDPOINTS_PREFIX = `${ROOT}/endpoints/`;

export const mirrorPrefix = (kind: MirroredKind): string => `${MIRROR_PREFIX}${kind}/`;

/** @param namespace of kinds that have one */
export function mirrorKey(kind: MirroredKind, name: string, namespace?: string): string {
  return namespace === undefined ? `${mirrorPrefix(kind)}${name}` : `${mirrorPrefix(kind)}${namespace}/${name}`;
}

export const idKey = (id: number): string => `${IDS_PREFIX}${id}`;
export const nodeIdKey = (node: string): string => `${NODE_IDS_PREFIX}${node}`;
/** @param block in CIDR form; its slash becomes an underscore */
export const blockKey = (pool: string, block: string): string => `${BLOCKS_PREFIX}${pool}/${block.replace("/", "_")}`;
export const wantKey = (node: string, pool: string): string => `${WANTS_PREFIX}${node}/${pool}`;
export const pluginKey = (name: string): string => `${PLUGINS_PREFIX}${name}`;
export const rolloutKey = (name: string): string => `${ROLLOUTS_PREFIX}${name}`;
/** @param digest sha-256, hex */
export const moduleKey = (digest: string): string => `${MODULES_PREFIX}${digest}`;
export const modulePartKey = (digest: string, part: number): string =>
  `${moduleKey(digest)}/${String(part).padStart(4, "0")}`;
export const nodeReportKey = (node: string): string => `${NODE_REPORTS_PREFIX}${node}`;
export const endpointKey = (node: string, id: string): string => `${ENDPOINTS_PREFIX}${node}/${id}`;
