import type { PodTable } from "../cluster/pod-table.js";
import type { NamespaceRecord, NetworkPolicyRecord } from "../cluster/records.js";
import type { Problem } from "../errors.js";
import type { PolicyConfig, PolicyRule } from "./plugin-configs.js";
import { PodIndex } from "./pod-index.js";
import { type Direction, peerRules } from "./policy-rules.js";

/** Of plugins/policy. */
const MOST_RULES = 4096;

export interface PolicyNode {
  readonly name: string;
  /** Sources of the node's own processes: they reach its pods, whatever the policies say. */
  readonly addresses: readonly string[];
  /** Rules that the plugin has room for, which also depends on how long they are; absent: as many as it ever has. */
  readonly most?: number;
}

export interface TranslatedPolicies {
  /** Of the stage that judges what the node's pods send; it runs before the other one. */
  readonly egress: PolicyConfig;
  /** Of the stage that judges what the node's pods are sent. */
  readonly ingress: PolicyConfig;
  readonly problems: readonly Problem[];
}

/** Pods of the node that the same policies select. */
interface Selection {
  readonly pods: number[];
  readonly policies: NetworkPolicyRecord[];
}

/**
 * Network policies with the pods and namespaces that they are about, translated for one node: two stages of the policy plugin
 * in the forward hook, since a packet between two pods must be allowed by the sender's and by the receiver's policies. Both
 * come after destinations were translated, so that what they see are pods and not services.
 */
export class PolicyTranslation {
  private readonly index: PodIndex;
  private readonly policies = new Map<string, NetworkPolicyRecord>();

  /** @param pods those that are there; they are looked at anew with each translation */
  constructor(pods: PodTable) {
    this.index = new PodIndex(pods);
  }

  setPolicy(policy: NetworkPolicyRecord): void {
    this.policies.set(`${policy.namespace}/${policy.name}`, policy);
  }

  removePolicy(namespace: string, name: string): void {
    this.policies.delete(`${namespace}/${name}`);
  }

  setNamespace(namespace: NamespaceRecord): void {
    this.index.setNamespace(namespace);
  }

  removeNamespace(name: string): void {
    this.index.removeNamespace(name);
  }

  /** Without policies nothing of a pod is needed. */
  get isEmpty(): boolean {
    return this.policies.size === 0;
  }

  translate(node: PolicyNode): TranslatedPolicies {
    const problems: Problem[] = [];
    const own: PolicyRule = { name: "the node itself", action: "allow", source: node.addresses };
    const egress = this.rules("egress", node, [], problems);
    const ingress = this.rules("ingress", node, node.addresses.length === 0 ? [] : [own], problems);
    this.index.forgetAllBut(this.selectorsInUse());
    return {
      egress: { defaultAction: "allow", rules: egress },
      ingress: { defaultAction: "allow", rules: ingress },
      problems,
    };
  }

  /** Where there are too many rules, pods lose what allows their traffic and not what protects them. */
  private rules(direction: Direction, node: PolicyNode, first: PolicyRule[], problems: Problem[]): PolicyRule[] {
    const selections = this.selections(direction, node.name);
    const { most = MOST_RULES } = node;
    let room = most - first.length - selections.length;
    const rules = [...first];
    for (const { pods, policies } of selections) {
      const own = this.index.addressesOf(pods);
      const allowed = policies.flatMap((policy) => peerRules(direction, policy, pods, this.index));
      if (allowed.length > room) {
        const names = policies.map(({ namespace, name }) => `${namespace}/${name}`).join(", ");
        const message = `its ${allowed.length} rules do not fit in the ${most} of a node; the pods selected get no ${direction} traffic`;
        problems.push({ code: "too-many-rules", path: `/networkpolicies/${names}`, message });
      } else {
        room -= allowed.length;
        rules.push(...allowed);
      }
      const side = direction === "ingress" ? "destination" : "source";
      rules.push({ name: `${direction} of selected pods`, action: "deny", [side]: own });
    }
    return rules;
  }

  private selections(direction: Direction, node: string): Selection[] {
    const type = direction === "ingress" ? "Ingress" : "Egress";
    const selecting = new Map<number, NetworkPolicyRecord[]>();
    for (const policy of this.sorted()) {
      if (!policy.policyTypes.includes(type)) continue;
      for (const pod of this.index.inNamespace(policy.namespace, policy.podSelector)) {
        if (this.index.nodeOf(pod) !== node) continue;
        selecting.set(pod, [...(selecting.get(pod) ?? []), policy]);
      }
    }
    const bySet = new Map<string, Selection>();
    for (const [pod, policies] of selecting) {
      const key = policies.map(({ namespace, name }) => `${namespace}/${name}`).join(" ");
      const selection = bySet.get(key) ?? { pods: [], policies };
      selection.pods.push(pod);
      bySet.set(key, selection);
    }
    return [...bySet.keys()].sort().map((key) => bySet.get(key) as Selection);
  }

  private sorted(): NetworkPolicyRecord[] {
    return [...this.policies.keys()].sort().map((key) => this.policies.get(key) as NetworkPolicyRecord);
  }

  private selectorsInUse(): ReadonlySet<string> {
    const used = new Set<string>();
    for (const { podSelector, ingress, egress } of this.policies.values()) {
      const peers = [...ingress.flatMap(({ from = [] }) => from), ...egress.flatMap(({ to = [] }) => to)];
      for (const selector of [podSelector, ...peers.map((peer) => peer.podSelector ?? {})])
        used.add(JSON.stringify(selector));
    }
    return used;
  }
}
