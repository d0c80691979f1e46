import { ENDPOINTS_PREFIX, endpointKey, nodeReportKey, WANTS_PREFIX, wantKey } from "../cluster/keys.js";
import type { EndpointRecord, NodeReportRecord, PluginReport, WantRecord } from "../cluster/records.js";
import type { NodePlugin } from "../cluster/versions.js";
import type { Problem } from "../errors.js";
import { type Attachment, addressesOf, attachmentId } from "../ipam/attachment.js";
import type { Chosen } from "../translate/releases.js";
import { VERSION } from "../version.js";
import type { Condition } from "./conditions.js";
import type { ChosenConfig } from "./node-config.js";
import type { PluginTrials } from "./plugin-trials.js";

/** Where a node's agent writes. */
export const reportPrefixes = (node: string): string[] => [
  `${ENDPOINTS_PREFIX}${node}/`,
  `${WANTS_PREFIX}${node}/`,
  nodeReportKey(node),
];

/** Undefined: no Pipeline holds for it. */
export type PipelineReport = NodeReportRecord["pipeline"];

export interface ReportInput {
  readonly node: string;
  readonly attachments: readonly Attachment[];
  /** Blocks by pool. */
  readonly wants: ReadonlyMap<string, number>;
  readonly conditions: readonly Condition[];
  readonly config: ChosenConfig;
  readonly plugins: readonly PluginReport[];
  readonly pipeline: PipelineReport;
}

/** What became of the users' Plugins on the node. */
export function pluginReports({
  wanted,
  programmed,
  trials,
  problemOf,
}: {
  /** Names. */
  readonly wanted: Iterable<string>;
  readonly programmed: readonly NodePlugin[];
  readonly trials: PluginTrials;
  readonly problemOf: (name: string) => Problem | undefined;
}): PluginReport[] {
  const running = new Map(programmed.map((plugin) => [plugin.name, plugin]));
  return [...wanted].map((name) => {
    const plugin = running.get(name);
    const refused = trials.refused(name)?.id;
    const problem = problemOf(name);
    const failure = trials.failure(name);
    return {
      name,
      ...(plugin === undefined ? {} : { generation: plugin.version.generation, version: plugin.version.id }),
      ...(plugin === undefined ? {} : { settled: trials.isGood(plugin) }),
      ...(refused === undefined ? {} : { refused }),
      ...(problem === undefined ? {} : { problem: problem.message }),
      ...(failure === undefined ? {} : { failure }),
    };
  });
}

/** With which Pipeline the node runs, and why not with the one that holds. */
export function pipelineReport({ pipeline, waiting }: Chosen, problems: readonly Problem[]): PipelineReport {
  if (pipeline === undefined) return undefined;
  const { name, generation } = pipeline;
  const problem = waiting ?? problems.find(({ path }) => path.startsWith(`/pipelines/${name}/`))?.message;
  return { name, generation, ...(problem === undefined ? {} : { problem }) };
}

/** All that the agent has in etcd, by key. */
export function reports({
  node,
  attachments,
  wants,
  conditions,
  config,
  plugins,
  pipeline,
}: ReportInput): Map<string, string> {
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
    ...(pipeline === undefined ? {} : { pipeline }),
    ...(plugins.length === 0 ? {} : { plugins: [...plugins] }),
  };
  return found.set(nodeReportKey(node), JSON.stringify(report));
}
