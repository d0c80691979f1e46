import { blockCount } from "../cluster/blocks.js";
import type { IpPoolRecord, NodeConfigRecord, NodeReportRecord } from "../cluster/records.js";
import { formatProblem } from "../errors.js";
import type { Condition, IpPoolStatus, NodeConfigStatus } from "../resources/status.js";
import type { Refusal } from "./pools.js";
import type { Member } from "./roster.js";

// The statuses of Sluice's resources, from what is known. Pure.

/** Reasons are part of what users rely on. */
export type Verdict = Pick<Condition, "type" | "status" | "reason" | "message">;

/** Nodes that a message names; more are counted. */
const NAMED_NODES = 3;

export function poolStatus(
  member: Member<IpPoolRecord>,
  facts: { refusal: Refusal | undefined; blocks: number; waiting: readonly string[] },
  now: Date,
): IpPoolStatus {
  const { refusal, blocks, waiting } = facts;
  const spec = member.record?.spec;
  const capacity = spec === undefined ? 0n : blockCount(spec);
  const verdicts: Verdict[] = [
    refusal === undefined
      ? { type: "Accepted", status: "True", reason: "Accepted", message: "" }
      : { type: "Accepted", status: "False", ...refusal },
    poolReadiness(refusal, { disabled: spec?.disabled === true, left: capacity - BigInt(blocks), waiting }),
  ];
  return { conditions: conditionsOf(member, verdicts, now), blocks, capacity: String(capacity) };
}

function poolReadiness(
  refusal: Refusal | undefined,
  { disabled, left, waiting }: { disabled: boolean; left: bigint; waiting: readonly string[] },
): Verdict {
  const unready = (reason: string, message: string): Verdict => ({ type: "Ready", status: "False", reason, message });
  if (refusal !== undefined) return unready("NotAccepted", "nothing is given out of it");
  if (disabled) return unready("Disabled", "/spec/disabled: nothing new is given out of it");
  if (waiting.length > 0) {
    return unready("Full", `no block is left for ${named(waiting)}; make another IPPool, or remove nodes`);
  }
  if (left <= 0n) return unready("Full", "no block is left for another node; make another IPPool");
  return { type: "Ready", status: "True", reason: "BlocksLeft", message: "" };
}

export function nodeConfigStatus(
  member: Member<NodeConfigRecord>,
  /** Of the nodes that it holds for; those whose agent has not reported have none. */
  reports: ReadonlyMap<string, NodeReportRecord | undefined>,
  now: Date,
): NodeConfigStatus {
  const { error, metadata } = member;
  const accepted: Verdict =
    error === undefined
      ? { type: "Accepted", status: "True", reason: "Accepted", message: "" }
      : { type: "Accepted", status: "False", reason: "Invalid", message: error.problems.map(formatProblem).join("; ") };
  const generation = metadata.generation ?? 0;
  const ready = [...reports.values()].filter(
    (report) => faultOf(report, "Ready", metadata.name, generation) === undefined,
  );
  return {
    conditions: conditionsOf(
      member,
      [
        accepted,
        summary("Programmed", reports, metadata.name, generation),
        summary("Ready", reports, metadata.name, generation),
      ],
      now,
    ),
    nodes: reports.size,
    readyNodes: ready.length,
  };
}

/** True when it is so of all nodes; the first fault's reason otherwise. */
function summary(
  type: string,
  reports: ReadonlyMap<string, NodeReportRecord | undefined>,
  name: string,
  generation: number,
): Verdict {
  if (reports.size === 0) {
    return {
      type,
      status: "Unknown",
      reason: "NoNodes",
      message: "no node runs with it: look at /spec/nodeSelector and /spec/priority",
    };
  }
  const faults = [...reports].flatMap(([node, report]) => {
    const fault = faultOf(report, type, name, generation);
    return fault === undefined ? [] : [{ node, ...fault }];
  });
  const [first] = faults;
  if (first === undefined) return { type, status: "True", reason: "AllNodes", message: "" };
  const told = faults.slice(0, NAMED_NODES).map(({ node, message }) => `${node}: ${message}`);
  const more = faults.length > NAMED_NODES ? [`and ${faults.length - NAMED_NODES} more nodes`] : [];
  return { type, status: "False", reason: first.reason, message: [...told, ...more].join("; ") };
}

function faultOf(
  report: NodeReportRecord | undefined,
  type: string,
  name: string,
  generation: number,
): { reason: string; message: string } | undefined {
  if (report === undefined) return { reason: "NoReport", message: "its agent has reported nothing: does it run?" };
  if (report.nodeConfig?.name !== name || report.nodeConfig.generation !== generation) {
    return { reason: "Pending", message: "not yet done" };
  }
  const found = report.conditions.find((condition) => condition.type === type);
  if (found === undefined) return { reason: "Pending", message: "not yet done" };
  return found.status === "True" ? undefined : { reason: found.reason, message: found.message };
}

export function conditionsOf(member: Member<unknown>, verdicts: readonly Verdict[], now: Date): Condition[] {
  const before = conditionsBefore(member.status);
  return verdicts.map((verdict) => {
    const last = before.find(({ type }) => type === verdict.type);
    return {
      ...verdict,
      observedGeneration: member.metadata.generation ?? 0,
      // To the second, as the API keeps it.
      lastTransitionTime:
        last?.status === verdict.status ? last.lastTransitionTime : now.toISOString().replace(/\.\d+Z$/, "Z"),
    };
  });
}

function conditionsBefore(status: unknown): Condition[] {
  const { conditions } = (status ?? {}) as { conditions?: Condition[] };
  return Array.isArray(conditions) ? conditions : [];
}

export function named(nodes: readonly string[]): string {
  const more = nodes.length - NAMED_NODES;
  return `${nodes.slice(0, NAMED_NODES).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}
