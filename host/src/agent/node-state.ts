import { blockCount } from "../cluster/blocks.js";
import type { NodeRecord, PipelineRecord } from "../cluster/records.js";
import type { NodePlugin } from "../cluster/versions.js";
import { familyOf } from "../config/addresses.js";
import type { NodeSpec } from "../config/schema.js";
import type { StartSettings } from "../dataplane/start-file.js";
import type { Problem } from "../errors.js";
import type { Attachment } from "../ipam/attachment.js";
import type { Block } from "../ipam/block.js";
import type { Pool } from "../ipam/ipam.js";
import { latest } from "../latest.js";
import { type NodeStages, nodeStages, type OwnPlugin, type PlacedPod } from "../translate/stages.js";
import type { ClusterPlugins } from "./cluster-plugins.js";
import type { Aspect, ClusterView, ViewChange } from "./cluster-view.js";
import { type DesiredInput, desiredNodes, type OtherNode, portName, UPLINK } from "./desired.js";
import { type ChosenConfig, chooseConfig } from "./node-config.js";
import type { Uplink } from "./uplink.js";

export interface NodeStateOptions {
  readonly view: ClusterView;
  readonly plugins: ClusterPlugins;
  readonly stateDir?: string;
  /** Of services; empty: those that the API server has. */
  readonly serviceCidrs: readonly string[];
}

/** What the node is to have of users. */
export interface UserStages {
  readonly plugins: readonly NodePlugin[];
  readonly pipeline: PipelineRecord | undefined;
}

const NO_ADDRESSES: readonly string[] = [];

/** What the view means for this node. Each part is computed anew only when what it is made of has changed. */
export class NodeState {
  private readonly versions = new Map<Aspect, number>();
  private readonly compute = desiredNodes();

  private readonly plugins: ClusterPlugins;
  /** Of the users' Plugins and Pipelines. */
  problems: readonly Problem[] = [];
  private owners: ReadonlyMap<string, string> = new Map();

  constructor(private readonly options: NodeStateOptions) {
    this.plugins = options.plugins;
  }

  changed({ aspect }: ViewChange): void {
    this.versions.set(aspect, this.version(aspect) + 1);
  }

  get node(): NodeRecord | undefined {
    return this.options.view.nodes.get(this.options.view.node);
  }

  get config(): ChosenConfig {
    return this.chosen(this.version("nodeconfigs"), this.version("nodes"));
  }

  /** Enabled ones, by name. */
  get pools(): readonly Pool[] {
    return this.poolsOf(this.version("ippools"), this.version("blocks"));
  }

  get ownBlocks(): readonly Block[] {
    return this.blocksOf(this.version("blocks")).own;
  }

  /** @param users with Plugins whose modules are on the node */
  spec(
    settings: StartSettings,
    uplink: Uplink | undefined,
    attachments: readonly Attachment[],
    users: UserStages,
  ): NodeSpec {
    const { stateDir } = this.options;
    const stages = this.stages(uplink, attachments, users);
    this.problems = stages.problems;
    this.owners = stages.owners;
    const input: DesiredInput = {
      settings,
      config: this.config.spec,
      addresses: this.addresses,
      attachments,
      others: this.others(this.version("nodes"), this.version("blocks")),
      ownBlocks: this.ownCidrs(this.ownBlocks),
      clusterCidrs: this.clusterCidrs(this.version("ippools"), this.version("servicecidrs")),
      plugins: stages.plugins,
      pipeline: stages.pipeline,
      ...(uplink === undefined ? {} : { uplink }),
      ...(stateDir === undefined ? {} : { stateDir }),
    };
    return this.compute(input);
  }

  /** As with these Plugins of users. */
  stages(uplink: Uplink | undefined, attachments: readonly Attachment[], users: UserStages): NodeStages {
    const own = this.plugins.own({
      addresses: this.addresses,
      podCidrs: this.podCidrs(this.version("ippools")),
      masquerade: this.config.spec.masquerade,
      attachments,
    });
    return this.stagesOf(own, users.plugins, users.pipeline, attachments, uplink !== undefined, this.placed);
  }

  /** The user's Plugin that a stage of the node is of, or undefined. */
  ownerOf(stage: string): string | undefined {
    return this.owners.get(stage);
  }

  get addresses(): readonly string[] {
    return this.node?.addresses ?? NO_ADDRESSES;
  }

  private version(aspect: Aspect): number {
    return this.versions.get(aspect) ?? 0;
  }

  /** Why a user's Plugin is not in place, or undefined. */
  problemOf(plugin: string): Problem | undefined {
    return this.problems.find(({ path }) => path === `/plugins/${plugin}` || path.startsWith(`/plugins/${plugin}/`));
  }

  /** Of what users' stages are placed by. */
  private get placed(): number {
    return (["pods", "namespaces", "nodes"] as const).reduce((sum, each) => sum + this.version(each), 0);
  }

  // The numbers are versions of what is read from the view.

  private readonly stagesOf = latest(
    (
      own: readonly OwnPlugin[],
      plugins: readonly NodePlugin[],
      pipeline: PipelineRecord | undefined,
      attachments: readonly Attachment[],
      hasUplink: boolean,
      _placed: number,
    ) => {
      const { view } = this.options;
      return nodeStages({
        node: { name: view.node, labels: this.node?.labels ?? {} },
        own,
        plugins,
        pipeline,
        uplinkPorts: hasUplink ? [UPLINK] : [],
        pods: plugins.length === 0 ? [] : attachments.map((attachment) => this.placedPod(attachment)),
      });
    },
  );

  private placedPod(attachment: Attachment): PlacedPod {
    const { view } = this.options;
    const { namespace, name } = attachment.pod;
    return {
      labels: view.pods.get(namespace, name)?.labels ?? {},
      namespaceLabels: view.namespaces.get(namespace)?.labels ?? {},
      ports: attachment.interfaces.map((each) => portName(attachment, each.name)),
    };
  }

  private readonly chosen = latest((_configs: number, _nodes: number) =>
    chooseConfig(this.options.view.nodeconfigs.values(), this.node),
  );

  private readonly poolsOf = latest((_pools: number, blocks: number): Pool[] => {
    const { ofPools } = this.blocksOf(blocks);
    return [...this.options.view.ippools.values()]
      .map(({ name, spec }) => ({
        name,
        family: familyOf(spec.cidr),
        isDisabled: spec.disabled,
        isFull: BigInt(ofPools.get(name) ?? 0) >= blockCount(spec),
      }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  });

  private readonly podCidrs = latest((_pools: number): string[] =>
    [...this.options.view.ippools.values()].map(({ spec }) => spec.cidr).sort(),
  );

  private readonly clusterCidrs = latest((pools: number, _services: number): string[] => {
    const { view, serviceCidrs } = this.options;
    const known = [...new Set([...view.servicecidrs.values()].flatMap(({ cidrs }) => cidrs))].sort();
    return [...this.podCidrs(pools), ...(serviceCidrs.length > 0 ? serviceCidrs : known)];
  });

  private readonly blocksOf = latest((_blocks: number) => {
    const { view } = this.options;
    const own: Block[] = [];
    const others = new Map<string, string[]>();
    const ofPools = new Map<string, number>();
    for (const { pool, block, node } of view.blocks.values()) {
      ofPools.set(pool, (ofPools.get(pool) ?? 0) + 1);
      if (node === view.node) own.push({ pool, block });
      else others.set(node, [...(others.get(node) ?? []), block]);
    }
    return { own, others, ofPools };
  });

  private readonly ownCidrs = latest((blocks: readonly Block[]) => blocks.map(({ block }) => block));

  private readonly others = latest((_nodes: number, blocks: number): OtherNode[] => {
    const { view } = this.options;
    const { others } = this.blocksOf(blocks);
    return [...view.nodes.values()].flatMap(({ name, addresses }) =>
      name === view.node ? [] : [{ name, addresses, blocks: others.get(name) ?? [] }],
    );
  });
}
