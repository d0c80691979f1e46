import type { NodeReportRecord } from "../cluster/records.js";
import { formatProblem, type Problem } from "../errors.js";

export type Condition = NodeReportRecord["conditions"][number];

export interface ConditionInput {
  /** What of the NodeConfig can't be had on this node. */
  readonly refused: readonly Problem[];
  /** What stands between the dataplane and the desired state. */
  readonly behind: readonly Problem[];
  /** Nobody answers at the dataplane's socket. */
  readonly isDataplaneAway: boolean;
  /** The dataplane runs with other settings than the NodeConfig's. */
  readonly isOtherStart: boolean;
  /** Why the agent's view of the cluster may be old. */
  readonly stale?: Problem | undefined;
}

/** Of a node, as its report has them; the reasons are part of the API. */
export function conditions(input: ConditionInput): Condition[] {
  const accepted = condition("Accepted", input.refused, "Invalid", "Valid", "the NodeConfig holds on this node");
  const programmed = programmedOf(input);
  const isReady = programmed.status === "True" && input.stale === undefined;
  const ready: Condition = isReady
    ? {
        type: "Ready",
        status: "True",
        reason: "Ready",
        message: "the dataplane is as desired, and follows the cluster",
      }
    : {
        type: "Ready",
        status: "False",
        reason: programmed.status === "True" ? "ClusterViewOld" : programmed.reason,
        message:
          programmed.status === "True" && input.stale !== undefined ? formatProblem(input.stale) : programmed.message,
      };
  return [accepted, programmed, ready];
}

function programmedOf({ behind, isDataplaneAway, isOtherStart }: ConditionInput): Condition {
  const no = (reason: string, message: string): Condition => ({ type: "Programmed", status: "False", reason, message });
  if (isDataplaneAway) return no("DataplaneAway", "no dataplane answers; its log says why");
  if (isOtherStart) {
    return no(
      "OtherStartSettings",
      "the dataplane runs with other settings of the start than the NodeConfig's: it starts again with them, or has refused them (its log says why)",
    );
  }
  return condition("Programmed", behind, "Refused", "Programmed", "the dataplane has the desired state");
}

function condition(type: string, problems: readonly Problem[], bad: string, good: string, message: string): Condition {
  const [first, ...others] = problems;
  if (first === undefined) return { type, status: "True", reason: good, message };
  const more = others.length === 0 ? "" : `; and ${others.length} more`;
  return { type, status: "False", reason: bad, message: `${formatProblem(first)}${more}` };
}
