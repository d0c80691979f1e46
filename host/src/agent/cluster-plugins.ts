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
import { type AgentPlugin, type PluginModule, pluginSpec } from "./plugins.js";

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
  private readonly policies = new PolicyTranslation();
  private services = 0;
  private selections = 0;
  /** Addresses that the node's pods were given, which the API learns later. */
  private given = new Map<string, string[]>();
  private lastHostPorts: readonly HostPort[] = [];
  problems: readonly Problem[] = [];

  constructor(
    private readonly view: ClusterView,
    private readonly modules: Record<AgentPlugin, PluginModule>,
  ) {}

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
        this.setPod(name);
        break;
      default:
    }
  }

  /** Sluice's own, as the cluster asks for them. */
  own(input: PluginsInput): readonly OwnPlugin[] {
    this.takeAttachments(input.attachments);
    const { addresses, podCidrs, masquerade } = input;
    const nat = this.natSpec(this.services, addresses, podCidrs, masquerade, this.hostPorts(input.attachments));
    const policies = this.policies.isEmpty ? NO_POLICIES : this.policySpecs(this.selections, addresses);
    this.problems = [...nat.problems, ...policies.problems];
    return this.all(nat.stage, policies.stages);
  }

  private readonly all = latest((nat: OwnPlugin, policies: readonly OwnPlugin[]): readonly OwnPlugin[] => [
    nat,
    ...policies,
  ]);

  private setPod(key: string): void {
    if (!this.view.pods.keepsOthers) return;
    const [namespace = "", name = ""] = key.split("/");
    const pod = this.view.pods.record(key);
    this.selections++;
    if (pod === undefined) this.policies.removePod(namespace, name);
    else this.policies.setPod({ ...pod, ips: this.given.get(key) ?? pod.ips });
  }

  private readonly takeAttachments = latest((attachments: readonly Attachment[]): void => {
    const before = this.given;
    this.given = new Map(attachments.map((each) => [keyOf(each), each.interfaces[0]?.addresses ?? []]));
    for (const key of new Set([...before.keys(), ...this.given.keys()])) {
      if (before.get(key)?.join() !== this.given.get(key)?.join()) this.setPod(key);
    }
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
    ) => {
      const { node: name } = this.view;
      const { config, problems } = this.nat.translate({ name, addresses, podCidrs, masquerade, hostPorts });
      const plugin = pluginSpec(this.modules.nat, NAT, config);
      return { stage: { role: "nat", hooks: this.modules.nat.hooks, plugin } satisfies OwnPlugin, problems };
    },
  );

  private readonly policySpecs = latest((_selections: number, addresses: readonly string[]): PolicySpecs => {
    const { egress, ingress, problems } = this.policies.translate({ name: this.view.node, addresses });
    const plugins = [
      pluginSpec(this.modules.policy, EGRESS, egress, { before: [INGRESS] }),
      pluginSpec(this.modules.policy, INGRESS, ingress),
    ];
    return { stages: plugins.map((plugin) => ({ role: "policy", hooks: POLICY_HOOKS, plugin })), problems };
  });
}

/** Of its manifest's the one that is judged here: what the node itself sends and gets is not. */
const POLICY_HOOKS: readonly Hook[] = ["forward"];

interface PolicySpecs {
  readonly stages: readonly OwnPlugin[];
  readonly problems: readonly Problem[];
}

const NO_POLICIES: PolicySpecs = { stages: [], problems: [] };

const keyOf = ({ pod }: Attachment): string => `${pod.namespace}/${pod.name}`;
