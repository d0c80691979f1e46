import { ENDPOINTS_PREFIX, endpointKey, nodeReportKey, WANTS_PREFIX, wantKey } from "../cluster/keys.js";
import type { EndpointRecord, NodeReportRecord, PluginRecord, WantRecord } from "../cluster/records.js";
import type { Problem } from "../errors.js";
import { type Attachment, addressesOf, attachmentId } from "../ipam/attachment.js";
import { VERSION } from "../version.js";
import type { Condition } from "./conditions.js";
import type { ChosenConfig } from "./node-config.js";

/** Where a node's agent writes. */
export const reportPrefixes = (node: string): string[] => [
  `${ENDPOINTS_PREFIX}${node}/`,
  `${WANTS_PREFIX}${node}/`,
  nodeReportKey(node),
];

export interface ReportInput {
  readonly node: string;
  readonly attachments: readonly Attachment[];
  /** Blocks by pool. */
  readonly wants: ReadonlyMap<string, number>;
  readonly conditions: readonly Condition[];
  readonly config: ChosenConfig;
  readonly plugins: NonNullable<NodeReportRecord["plugins"]>;
}

/** What became of the users' Plugins on the node. */
export function pluginReports({
  node,
  wanted,
  programmed,
  problemOf,
}: {
  readonly node: string;
  readonly wanted: Iterable<PluginRecord>;
  readonly programmed: readonly PluginRecord[];
  readonly problemOf: (name: string) => Problem | undefined;
}): ReportInput["plugins"] {
  const running = new Map(programmed.map((record) => [record.name, record]));
  return [...wanted].map(({ name }) => {
    const record = running.get(name);
    const version = record?.next?.nodes.includes(node) ? record.next.version : record?.live;
    const problem = problemOf(name);
    return {
      name,
      ...(version === undefined ? {} : { generation: version.generation }),
      ...(problem === undefined ? {} : { problem: problem.message }),
    };
  });
}

/** All that the agent has in etcd, by key. */
export function reports({ node, attachments, wants, conditions, config, plugins }: ReportInput): Map<string, string> {
  const found = new Map<string, string>();
  for (const attachment of attachments) {
    const { pod, containerId, ifname } = attachment;
    const record: EndpointRecord = {
      node,
      namespace: pod.namespace,
      pod: pod.name,
      podUid: pod.uid,
      containerId,
      interface: ifname,
      addresses: addressesOf(attachment),
    };
    found.set(endpointKey(node, attachmentId(attachment)), JSON.stringify(record));
  }
  for (const [pool, blocks] of wants) {
    found.set(wantKey(node, pool), JSON.stringify({ node, pool, blocks } satisfies WantRecord));
  }
  const report: NodeReportRecord = {
    node,
    version: VERSION,
    conditions: [...conditions],
    ...(config.object === undefined ? {} : { nodeConfig: { ...config.object } }),
    ...(plugins.length === 0 ? {} : { plugins: [...plugins] }),
  };
  return found.set(nodeReportKey(node), JSON.stringify(report));
}
