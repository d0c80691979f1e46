import { isDeepStrictEqual } from "node:util";
import type { Hook } from "../config/schema.js";
import type { Problem } from "../errors.js";
import { type Attachment, addressesOf } from "../ipam/attachment.js";
import { latest } from "../latest.js";
import type { HostPort } from "../translate/host-ports.js";
import { NatTranslation } from "../translate/nat.js";
import { PolicyTranslation } from "../translate/policies.js";
import type { OwnPlugin } from "../translate/stages.js";
import type { ClusterView, ViewChange } from "./cluster-view.js";
import { type OwnModules, pluginSpec } from "./plugins.js";

export interface PluginsInput {
  /** The node's InternalIP addresses. */
  readonly addresses: readonly string[];
  readonly podCidrs: readonly string[];
  readonly masquerade: boolean;
  readonly attachments: readonly Attachment[];
}

const NAT = "nat";
/** Both judge what is forwarded: a packet between two pods of the node needs both to allow it. */
const EGRESS = "policy-egress";
const INGRESS = "policy-ingress";

/** Services and policies of the cluster as the configurations of the node's plugins. */
export class ClusterPlugins {
  private readonly nat = new NatTranslation();
  private readonly policies: PolicyTranslation;
  private services = 0;
  private selections = 0;
  private lastHostPorts: readonly HostPort[] = [];
  private served = 0;
  private mostServed: number | undefined;
  private rules = 0;
  private mostRules: number | undefined;
  problems: readonly Problem[] = [];

  constructor(
    private readonly view: ClusterView,
    private readonly modules: OwnModules,
  ) {
    this.policies = new PolicyTranslation(view.pods);
  }

  /** Takes a change of the view. */
  changed({ aspect, name, record }: ViewChange): void {
    const [namespace = "", own = ""] = name.split("/");
    switch (aspect) {
      case "services":
        this.services++;
        if (record === undefined) this.nat.removeService(namespace, own);
        else this.nat.setService(record);
        break;
      case "endpointslices":
        this.services++;
        if (record === undefined) this.nat.removeSlice(namespace, own);
        else this.nat.setSlice(record);
        break;
      case "networkpolicies":
        this.selections++;
        if (record === undefined) this.policies.removePolicy(namespace, own);
        else this.policies.setPolicy(record);
        break;
      case "namespaces":
        this.selections++;
        if (record === undefined) this.policies.removeNamespace(namespace);
        else this.policies.setNamespace(record);
        break;
      case "pods":
        this.selections++;
        break;
      default:
    }
  }

  /** Sluice's own, as the cluster asks for them. */
  own(input: PluginsInput): readonly OwnPlugin[] {
    this.takeAttachments(input.attachments);
    const { addresses, podCidrs, masquerade } = input;
    const hostPorts = this.hostPorts(input.attachments);
    const nat = this.natSpec(this.services, addresses, podCidrs, masquerade, hostPorts, this.mostServed);
    const policies = this.policies.isEmpty ? NO_POLICIES : this.policySpecs(this.selections, addresses, this.mostRules);
    this.problems = [...nat.problems, ...policies.problems];
    return this.all(nat.stage, policies.stages);
  }

  /**
   * Takes what the dataplane has said against one of them. @returns whether it is asked for less from now on: services that a plugin has
   * no room for must not keep all else from being changed
   */
  refused(stage: string, problem: Problem): boolean {
    if (!isTooLarge(problem)) return false;
    if (stage === NAT && this.served > 0) {
      this.mostServed = Math.floor(this.served * LESS);
      return true;
    }
    const mostRules = Math.floor((this.mostRules ?? this.rules) * LESS);
    if ((stage !== EGRESS && stage !== INGRESS) || mostRules === this.mostRules) return false;
    this.mostRules = mostRules;
    return true;
  }

  private readonly all = latest((nat: OwnPlugin, policies: readonly OwnPlugin[]): readonly OwnPlugin[] => [
    nat,
    ...policies,
  ]);

  private readonly takeAttachments = latest((attachments: readonly Attachment[]): void => {
    const given = new Map(attachments.map((each) => [keyOf(each), each.interfaces[0]?.addresses ?? []]));
    if (this.view.pods.give(given)) this.selections++;
  });

  private readonly hostPorts = latest((attachments: readonly Attachment[]): readonly HostPort[] => {
    const found = attachments.flatMap((attachment) =>
      attachment.portMappings.map((mapping) => ({
        ...mapping,
        pod: keyOf(attachment),
        podAddresses: attachment.interfaces[0]?.addresses ?? addressesOf(attachment),
      })),
    );
    // Most pods have none: a new list would have all services translated again.
    if (!isDeepStrictEqual(found, this.lastHostPorts)) this.lastHostPorts = found;
    return this.lastHostPorts;
  });

  private readonly natSpec = latest(
    (
      _services: number,
      addresses: readonly string[],
      podCidrs: readonly string[],
      masquerade: boolean,
      hostPorts: readonly HostPort[],
      most: number | undefined,
    ) => {
      const { node: name } = this.view;
      const node = { name, addresses, podCidrs, masquerade, hostPorts };
      const { config, problems } = this.nat.translate(most === undefined ? node : { ...node, most });
      this.served = config.services.length;
      const plugin = pluginSpec(this.modules.nat, NAT, config);
      return { stage: { role: "nat", hooks: this.modules.nat.hooks, plugin } satisfies OwnPlugin, problems };
    },
  );

  private readonly policySpecs = latest(
    (_selections: number, addresses: readonly string[], most?: number): PolicySpecs => {
      const node = { name: this.view.node, addresses };
      const { egress, ingress, problems } = this.policies.translate(most === undefined ? node : { ...node, most });
      this.rules = Math.max(egress.rules.length, ingress.rules.length);
      const plugins = [
        pluginSpec(this.modules.policy, EGRESS, egress, { before: [INGRESS] }),
        pluginSpec(this.modules.policy, INGRESS, ingress),
      ];
      return { stages: plugins.map((plugin) => ({ role: "policy", hooks: POLICY_HOOKS, plugin })), problems };
    },
  );
}

/** What is tried next, of what was too much. */
const LESS = 0.75;

/** The plugin's memory or its tables are full: it says so, or ends while it allocates. */
function isTooLarge({ code, message }: Problem): boolean {
  return code === "config-too-large" || (code === "config-failed" && message.includes("memory is full"));
}

/** Of its manifest's the one that is judged here: what the node itself sends and gets is not. */
const POLICY_HOOKS: readonly Hook[] = ["forward"];

interface PolicySpecs {
  readonly stages: readonly OwnPlugin[];
  readonly problems: readonly Problem[];
}

const NO_POLICIES: PolicySpecs = { stages: [], problems: [] };

const keyOf = ({ pod }: Attachment): string => `${pod.namespace}/${pod.name}`;
