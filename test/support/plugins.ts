import { root } from "./dataplane.js";
import type { PluginSpec } from "./node-file.js";

/** A plugin of plugins/ as the set-up built it. */
export function builtPlugin(name: string, config: unknown): PluginSpec {
  return { name, module: `${root}/plugins/${name}/build/${name}.wasm`, config };
}

/** A stage of examples/, from source. */
export function exampleSource(path: string): string {
  return `${root}/examples/${path}`;
}

export interface PolicyRule {
  name?: string;
  action: "allow" | "deny";
  direction?: "forward" | "input" | "output";
  source?: string[];
  destination?: string[];
  protocol?: "any" | "tcp" | "udp" | "sctp" | "icmp" | "icmpv6" | number;
  sourcePorts?: (number | string)[];
  destinationPorts?: (number | string)[];
}

export function policyPlugin(defaultAction: "allow" | "deny", rules: PolicyRule[]): PluginSpec {
  return builtPlugin("policy", { defaultAction, rules });
}
