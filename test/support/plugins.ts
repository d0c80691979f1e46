import { podPrefix4, podPrefix6, sidDt4, sidDt6, underlay6 } from "./address-plan.js";
import { root } from "./dataplane.js";
import type { PluginSpec } from "./node-file.js";
import { must } from "./process.js";

/** A plugin of plugins/ as the set-up built it. */
export function builtPlugin(name: string, config: unknown): PluginSpec {
  return { name, module: `${root}/plugins/${name}/build/${name}.wasm`, config };
}

/** A stage of examples/, from source. */
export function exampleSource(path: string): string {
  return `${root}/examples/${path}`;
}

/** Compiles a stage with the SDK's command. Returns `module`, where it went. */
export async function buildStage(source: string, module: string): Promise<string> {
  await must([process.execPath, `${root}/sdk/bin/sluice-plugin.mjs`, "build", source, "-o", module], {
    timeoutMs: 60_000,
  });
  return module;
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

export interface Service {
  name?: string;
  vip: string;
  port: number;
  protocol: "tcp" | "udp" | "sctp";
  backends: { address: string; port?: number; weight?: number }[];
}

/** `hairpin`: what a backend sees as the source when it calls its own service and gets itself. */
export function natPlugin(services: Service[], hairpin = { ipv4: "10.1.0.1", ipv6: "fd00:1::1" }): PluginSpec {
  return builtPlugin("nat", { services, hairpin });
}

/** Encapsulates what goes to the peers' pods for the peers' SIDs, and takes off what comes to `node`'s own. */
export function srv6Plugin(node: number, peers: number[]): PluginSpec {
  return builtPlugin("srv6", {
    source: underlay6(node),
    localSids: [
      { sid: sidDt4(node), behaviour: "End.DT4" },
      { sid: sidDt6(node), behaviour: "End.DT6" },
    ],
    policies: peers.flatMap((peer) => [
      { match: podPrefix4(peer), segments: [sidDt4(peer)] },
      { match: podPrefix6(peer), segments: [sidDt6(peer)] },
    ]),
  });
}
