import type { PipelineRecord, PluginVersion } from "../cluster/records.js";
import type { NodePlugin } from "../cluster/versions.js";
import { HOOKS, type Hook, type NodeSpec, type PluginSpec } from "../config/schema.js";
import { type Problem, SluiceError } from "../errors.js";
import { orderStages } from "../pipeline/order.js";
import { OWN_STAGES, type OwnStage } from "../resources/plugin.js";
import { selectsNode } from "../resources/select.js";
import { selects } from "./selectors.js";

/** A plugin on a node, and the hooks that it runs in. */
export interface Stage {
  readonly plugin: PluginSpec;
  readonly hooks: readonly Hook[];
}

/** One of Sluice's own. Several may be one to users: policies of both directions are "policy". */
export interface OwnPlugin extends Stage {
  readonly role: OwnStage;
}

/** A pod of the node. */
export interface PlacedPod {
  readonly labels: Readonly<Record<string, string>>;
  readonly namespaceLabels: Readonly<Record<string, string>>;
  /** Names of the dataplane's ports that are its interfaces. */
  readonly ports: readonly string[];
}

export interface StagesInput {
  readonly node: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly own: readonly OwnPlugin[];
  /** The users', as the node is to run them. */
  readonly plugins: readonly NodePlugin[];
  /** That holds for the node. */
  readonly pipeline: PipelineRecord | undefined;
  readonly uplinkPorts: readonly string[];
  readonly pods: readonly PlacedPod[];
}

export interface NodeStages extends Pick<NodeSpec, "plugins" | "pipeline"> {
  /** What can't be done, with the object in the path; all else is as it should be. */
  readonly problems: readonly Problem[];
  /** Users' Plugins by the names of the stages that they are on the node. */
  readonly owners: ReadonlyMap<string, string>;
}

/**
 * The stages of a node and their order in each hook: Sluice's own, or what replaces them, and the users'. Of users' stages that can't
 * be ordered together the older ones run. A stage that no hook has left is not loaded.
 */
export function nodeStages(input: StagesInput): NodeStages {
  const problems: Problem[] = [];
  const candidates = candidatesFor(input);
  const replacing = candidates.filter(({ version }) => version.replaces !== undefined);
  const owners = new Map<string, string>();
  const own = replaced(input.own, replacing, problems, owners);
  const { pipeline } = input;
  const order = new StageOrders(pipeline, own);
  if (pipeline !== undefined) problems.push(...unknownStages(pipeline, input.plugins), ...order.refusedLists);
  for (const candidate of candidates) {
    if (candidate.version.replaces !== undefined) continue;
    const stage = stageOf(candidate, input);
    const refusal = stage === undefined ? undefined : order.add(stage);
    if (refusal !== undefined) problems.push(refusal);
    owners.set(candidate.name, candidate.name);
  }
  return { ...order.result(), problems, owners };
}

/** Oldest first. */
function candidatesFor({ node, plugins }: StagesInput): NodePlugin[] {
  return plugins
    .filter(({ version }) => selectsNode(version.placement.nodeSelector, node.labels))
    .sort((a, b) => compare(a.createdAt, b.createdAt) || compare(a.name, b.name));
}

function replaced(
  own: readonly OwnPlugin[],
  by: readonly NodePlugin[],
  problems: Problem[],
  owners: Map<string, string>,
): OwnPlugin[] {
  const chosen = new Map<OwnStage, NodePlugin>();
  for (const candidate of by) {
    const { replaces } = candidate.version;
    if (replaces === undefined) continue;
    const first = chosen.get(replaces);
    if (first === undefined) chosen.set(replaces, candidate);
    else {
      const message = `${first.name} replaces ${replaces} already; remove one of the two`;
      problems.push({ code: "replaced-already", path: pathOf(candidate.name, "replaces"), message });
    }
  }
  return own.map((stage) => {
    const by = chosen.get(stage.role);
    if (by === undefined) return stage;
    const { version } = by;
    owners.set(stage.plugin.name, by.name);
    const hooks = stage.hooks.filter((hook) => version.hooks.includes(hook));
    return { ...stage, hooks, plugin: { ...stage.plugin, ...moduleOf(version) } };
  });
}

/** Undefined where it has no packets on the node: an empty scope would be all of them. */
function stageOf({ name, version }: NodePlugin, input: StagesInput): Stage | undefined {
  const scope = scopeOf(version.placement, input);
  if (scope?.length === 0) return undefined;
  const { before, after, priority, config, hooks } = version;
  const place = { before: [...before], after: [...after], priority, scope: [...(scope ?? [])] };
  const plugin = { name, ...moduleOf(version), ...place };
  return { hooks, plugin: config === undefined ? plugin : { ...plugin, config: config as PluginSpec["config"] } };
}

function moduleOf({ digest, origin, failure, budgetUs, resetFlowState }: PluginVersion) {
  return { digest, origin, budgetUs, resetFlowState, ...(failure === undefined ? {} : { failure }) };
}

/** Undefined: all ports. */
function scopeOf(placement: PluginVersion["placement"], { uplinkPorts, pods }: StagesInput) {
  const { packets, podSelector = {}, namespaceSelector = {} } = placement;
  if (packets === "All") return undefined;
  if (packets === "Uplink") return uplinkPorts;
  return pods
    .filter(
      ({ labels, namespaceLabels }) => selects(podSelector, labels) && selects(namespaceSelector, namespaceLabels),
    )
    .flatMap(({ ports }) => ports);
}

/** A stage that is only on other nodes is no mistake. */
function unknownStages({ name, spec }: PipelineRecord, plugins: readonly NodePlugin[]): Problem[] {
  const known = new Set<string>([...OWN_STAGES, ...plugins.map((plugin) => plugin.name)]);
  return HOOKS.flatMap((hook) =>
    (spec.hooks[hook] ?? []).flatMap((stage, index) => {
      if (known.has(stage)) return [];
      const path = `/pipelines/${name}/spec/hooks/${hook}/${index}`;
      return [{ code: "unknown-stage", path, message: `no Plugin ${stage} can be used; the others run without it` }];
    }),
  );
}

/** Stages that can be ordered together in all hooks. */
class StageOrders {
  private readonly stages: Stage[];
  private readonly aliases = new Map<string, string[]>();
  private readonly lists: Partial<Record<Hook, readonly string[]>>;
  private orders: Record<Hook, string[]>;
  readonly refusedLists: readonly Problem[];

  constructor(
    private readonly pipeline: PipelineRecord | undefined,
    own: readonly OwnPlugin[],
  ) {
    for (const role of OWN_STAGES) {
      this.aliases.set(
        role,
        own.filter((stage) => stage.role === role).map(({ plugin }) => plugin.name),
      );
    }
    this.stages = [...own];
    const { lists, problems } = this.usableLists();
    this.lists = lists;
    this.refusedLists = problems;
    this.orders = this.ordered(this.stages);
  }

  /** @returns why it can't be one of them */
  add(stage: Stage): Problem | undefined {
    const more = [...this.stages, stage];
    try {
      this.orders = this.ordered(more);
    } catch (error) {
      if (!(error instanceof SluiceError)) throw error;
      const message = `left out, as it can't be ordered with the others: ${error.problems.map((one) => one.message).join("; ")}`;
      return { code: "impossible-order", path: pathOf(stage.plugin.name), message };
    }
    this.stages.push(stage);
    return undefined;
  }

  result(): Pick<NodeSpec, "plugins" | "pipeline"> {
    const running = new Set(Object.values(this.orders).flat());
    const plugins = this.stages.filter(({ plugin }) => running.has(plugin.name)).map(({ plugin }) => plugin);
    // The dataplane refuses names that it does not have.
    const present = (names: readonly string[]) => this.expand(names).filter((name) => running.has(name));
    return {
      plugins: plugins.map((plugin) =>
        plugin.before.length + plugin.after.length === 0
          ? plugin
          : { ...plugin, before: present(plugin.before), after: present(plugin.after) },
      ),
      pipeline: this.orders,
    };
  }

  /** A list that contradicts what Sluice's own stages need is not used. */
  private usableLists() {
    const lists: Partial<Record<Hook, readonly string[]>> = {};
    const problems: Problem[] = [];
    for (const hook of HOOKS) {
      const names = this.pipeline?.spec.hooks[hook];
      if (names === undefined) continue;
      const list = this.expand(names);
      try {
        this.orderOf(hook, this.stages, list);
        lists[hook] = list;
      } catch (error) {
        if (!(error instanceof SluiceError)) throw error;
        const path = `/pipelines/${this.pipeline?.name}/spec/hooks/${hook}`;
        problems.push(...error.problems.map((problem) => ({ ...problem, path })));
      }
    }
    return { lists, problems };
  }

  private ordered(stages: readonly Stage[]): Record<Hook, string[]> {
    return Object.fromEntries(HOOKS.map((hook) => [hook, this.orderOf(hook, stages, this.lists[hook])])) as Record<
      Hook,
      string[]
    >;
  }

  private orderOf(hook: Hook, stages: readonly Stage[], list: readonly string[] | undefined): string[] {
    const ofHook = stages.filter(({ plugin, hooks }) => hooks.includes(hook) && (list?.includes(plugin.name) ?? true));
    const names = new Set(ofHook.map(({ plugin }) => plugin.name));
    return orderStages(
      hook,
      ofHook.map(({ plugin: { name, before, after, priority } }) => ({
        name,
        before: this.expand(before),
        after: this.expand(after),
        priority,
      })),
      list?.filter((name) => names.has(name)),
    );
  }

  private expand(names: readonly string[]): string[] {
    return names.flatMap((name) => this.aliases.get(name) ?? [name]);
  }
}

const pathOf = (plugin: string, field?: string): string =>
  field === undefined ? `/plugins/${plugin}` : `/plugins/${plugin}/spec/${field}`;

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
