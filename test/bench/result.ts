/** A benchmark's figure, as `npm run bench -- --json FILE` writes it. */
export interface Figure {
  name: string;
  unit: string;
  value: number;
  /** What it is compared with, measured in the same run on the same core. */
  reference?: { name: string; value: number };
  /** value / reference. */
  ratio?: number;
}

/** What is to be reached: at most or at least so much, of the value, the ratio, or what the value has more than the reference. */
interface Mark {
  of: "value" | "ratio" | "difference";
  most?: number;
  least?: number;
}

/** First marks, not the goal. */
const marks: Record<string, Mark> = {
  "stage-empty-b32": { of: "value", most: 10 },
  "stage-nat-b32": { of: "ratio", most: 1.45 },
  "stage-nat-b256": { of: "ratio", most: 1.3 },
  "service-path-10k": { of: "value", most: 150 },
  "service-path-1m": { of: "value", most: 375 },
  "forward-10k": { of: "difference", most: 60 },
  ovs: { of: "ratio", most: 1 },
  idle: { of: "value", most: 0.05 },
  "tap-tcp": { of: "ratio", least: 0.6 },
  "vxlan-tcp": { of: "ratio", least: 0.5 },
  "hot-swap": { of: "value", most: 0 },
  "hot-swap-stall": { of: "value", most: 100 },
  "scale-2": { of: "ratio", least: 1.8 },
  "flows-memory": { of: "value", most: 256 },
  "cni-add": { of: "value", most: 15 },
  "cni-add-p99": { of: "value", most: 50 },
  "cni-add-20": { of: "value", most: 15 },
  "cni-add-20-p99": { of: "value", most: 50 },
  "plugin-apply": { of: "value", most: 1000 },
  "plugin-apply-swap": { of: "value", most: 5 },
  "plugin-apply-lost": { of: "value", most: 0 },
  "plugin-config": { of: "value", most: 200 },
  "plugin-config-swap": { of: "value", most: 5 },
  "plugin-config-lost": { of: "value", most: 0 },
  "agent-memory": { of: "value", most: 300 },
  "cni-add-large": { of: "value", most: 15 },
  "cni-add-large-p99": { of: "value", most: 50 },
};

const number = (value: number): string =>
  Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(3)));

/** How each benchmark measures, in a sentence. */
export const methods: Readonly<Record<string, string>> = {
  "stage-*": "prepared packets through a pipeline of one stage, burst after burst, window copies included; TSC.",
  "service-path-*":
    "a real worker between a generator and a sink whose own cycles are measured and left out; TSC from poll to poll, the median of parts of 2,048 packets; all flows established, settled by `nat` and `policy`, and met in random order.",
  latency:
    "one packet at a time at a tenth of the full rate, from the moment that it is due at the generator to its transmission, 10,000 flows; after a pause of more than 16 packets, for which the machine took the CPU away, the schedule begins anew.",
  "scale-2": "packets a cycle of two workers on two cores with ports of their own, one flow table.",
  "hot-swap":
    "100 swaps between two stages under full load. The stall is the longest time from one poll to the next that the worker was on its CPU or waited of itself (a lock, a page); time in which the machine ran others there does not count.",
  flows:
    "new flows by packets through the whole node to 4 million, with 64 bytes of plugins' slots each; resident memory beyond that of the same node with 100,000.",
  "forward-10k, ovs":
    "two DPDK devices (`net_pcap`, `infinite_rx`) that replay the requests and the answers of 10,000 flows, the packet thread's CPU time by packets, devices included; Sluice tracks all flows, the others do not. Processes run in turns on one core.",
  idle: "CPU time of all threads of a node with two pods and without traffic.",
  "tap-tcp, vxlan-tcp": "iperf3, one connection, 2 seconds, in turns.",
  "reflector-*":
    "a process with a real API server, into whose etcd 5,000 nodes, 150,000 pods and 10,000 services were written before it started. From the process's start: `fill` of an empty etcd, `nodes` until each has its id and blocks, `resync` where nothing has changed; `change` from a request to the API until a watch of etcd tells it, 200 in a row; resident memory, at its peak and settled; CPU time of the filling.",
  "cni-*":
    "ADD of a pod that the API knows, until its interface is up, with a real agent, etcd and dataplane: `agent` the gRPC call alone, `add` sluice-cni from its execve(2) on, one after the other, `add-20` 20 at once; medians and 99th percentiles.",
  "plugin-*":
    "a real API server, reflector, agent and dataplane; from a request to the API that changes a Plugin until the first packet between two pods of a node that bears the new mark, one change after the other: `apply` of its inline source (`first` with a compiler that starts), `config` of its configuration; medians and 99th percentiles. Of that, `swap` is from its publication on the node until every worker runs with it, at its longest. Of a ping every millisecond meanwhile, `lost`.",
  "rollout-*":
    "a Plugin with a source on 500 nodes: a real API server, reflector and etcds, and the nodes' agents without dataplanes in four processes. `first` of a new Plugin, `each` of a change of its source that comes to one node after the other (each waits 0.2 s for what it reports), the others of one for all at once: from the request until each node's report has it, and until the Plugin is `Ready`, of all at once after a second of settling; meanwhile the API server's requests by their verbs, its open watches (most of them its own) and the events that they sent, writes to Sluice's etcd, and what that has sent.",
  "agent-memory":
    "resident memory of an agent, whose dataplane has taken all, in a cluster of 5,000 nodes, 150,000 pods, 10,000 services of 15 endpoints and 200 policies, after its snapshot was written; and its peak. Then `cni-add-large`: 50 ADDs there, one after the other.",
};

function wanted({ of, most, least }: Mark): string {
  const limit = most === undefined ? `at least ${least}` : `at most ${most}`;
  return of === "value" ? limit : of === "ratio" ? `ratio ${limit}` : `${limit} more`;
}

function measured({ value, reference, ratio }: Figure, mark: Mark): number | undefined {
  if (mark.of === "value") return value;
  return mark.of === "ratio" ? ratio : reference && value - reference.value;
}

/** "reached", "missed", or "" where nothing is to be reached. */
export function judge(figure: Figure): string {
  const mark = marks[figure.name];
  const found = mark && measured(figure, mark);
  if (!mark || found === undefined) return "";
  return found <= (mark.most ?? Number.POSITIVE_INFINITY) && found >= (mark.least ?? Number.NEGATIVE_INFINITY)
    ? "reached"
    : "missed";
}

const columns = (cells: readonly string[]): string =>
  cells
    .map((cell, i) => cell.padEnd([18, 24, 28, 6, 0][i] ?? 0))
    .join(" ")
    .trimEnd();

/** Of the table that line() makes. */
export const heading = columns(["name", "value", "compared with", "ratio", "to reach"]);

/** One line of the table: name, value with unit, reference, ratio, mark. */
export function line(figure: Figure): string {
  const { name, unit, value, reference, ratio } = figure;
  const mark = marks[name];
  return columns([
    name,
    `${number(value)} ${unit}`,
    reference ? `${reference.name} ${number(reference.value)}` : "",
    ratio === undefined ? "" : ratio.toFixed(2),
    mark ? `${wanted(mark)}: ${judge(figure)}` : "",
  ]);
}
