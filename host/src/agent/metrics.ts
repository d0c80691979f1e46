import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { Ipam } from "../ipam/ipam.js";
import type { ClusterView } from "./cluster-view.js";
import type { CallObserver } from "./cni/server.js";

export interface MetricSources {
  readonly ipam: Ipam;
  readonly view: ClusterView;
  isReady(): boolean;
  readonly syncFailures: number;
}

/** The agent's figures. */
export class AgentMetrics {
  readonly registry = new Registry();
  private readonly calls = new Histogram({
    name: "sluice_agent_cni_duration_seconds",
    help: "Time that CNI calls took, by call and CNI error code (0: it succeeded)",
    labelNames: ["call", "code"],
    buckets: [0.002, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers: [this.registry],
  });
  constructor(sources: MetricSources) {
    const { ipam, view } = sources;
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry });
    new Gauge({
      name: "sluice_agent_addresses",
      help: "Addresses of the node's blocks, by state",
      labelNames: ["state"],
      registers,
      collect() {
        for (const [state, count] of Object.entries(ipam.usage())) this.set({ state }, count);
      },
    });
    new Gauge({
      name: "sluice_agent_records",
      help: "Records of the cluster that are held in memory, by kind",
      labelNames: ["kind"],
      registers,
      collect() {
        const { pods, nodes, services, endpointslices, networkpolicies, blocks } = view;
        const kinds = { pods, nodes, services, endpointslices, networkpolicies, blocks };
        for (const [kind, { size }] of Object.entries(kinds)) this.set({ kind }, size);
      },
    });
    new Gauge({
      name: "sluice_agent_bad_records",
      help: "Records that can't be used: of a newer version, or not of Sluice",
      registers,
      collect() {
        this.set(view.bad.size);
      },
    });
    new Counter({
      name: "sluice_agent_sync_failures_total",
      help: "Times that the dataplane was not reached, or refused the desired state",
      registers,
      collect() {
        this.reset();
        this.inc(sources.syncFailures);
      },
    });
    new Gauge({
      name: "sluice_agent_ready",
      help: "1: the dataplane is as desired and the cluster is followed",
      registers,
      collect() {
        this.set(sources.isReady() ? 1 : 0);
      },
    });
  }

  readonly observeCall: CallObserver = (call, seconds, code) => this.calls.observe({ call, code }, seconds);
}
