import type { NodeReportRecord, PipelineRecord, PluginRecord } from "../cluster/records.js";
import { formatProblem } from "../errors.js";
import type { PipelineStatus, PluginStatus } from "../resources/status.js";
import type { Outcome } from "./plugin-publisher.js";
import type { Member } from "./roster.js";
import { conditionsOf, named, type Verdict } from "./statuses.js";

// The statuses of Plugins and Pipelines, from what is known. Pure.

/** What goes wrong while a module is made, not with what the Plugin says. */
const OF_MODULE = /^(plugin-build-failed|module-.*|compile-.*|fetch-failed|digest-mismatch)$/;

export interface PluginFacts {
  readonly outcome: Outcome | undefined;
  /** As nodes are to run it. */
  readonly record: PluginRecord | undefined;
  /** Of the nodes that it is to run on. */
  readonly reports: ReadonlyMap<string, NodeReportRecord | undefined>;
}

export function pluginStatus(member: Member<unknown>, facts: PluginFacts, now: Date): PluginStatus {
  const { name } = member.metadata;
  const { record, reports } = facts;
  const generation = record?.live?.generation;
  const missing = [...reports].filter(([, report]) => faultOf(report, name, generation) !== undefined);
  const [accepted, compiled] = madeVerdicts(member, facts.outcome);
  const programmed = programmedVerdict(name, generation, reports);
  const verdicts = [accepted, compiled, programmed, readyVerdict([accepted, compiled, programmed])];
  return {
    conditions: conditionsOf(member, verdicts, now),
    nodes: reports.size,
    readyNodes: reports.size - missing.length,
    ...(record?.live === undefined ? {} : { digest: record.live.digest }),
    ...(record?.previousDigest === undefined ? {} : { previousDigest: record.previousDigest }),
  };
}

export function pipelineStatus(member: Member<PipelineRecord>, nodes: number, now: Date): PipelineStatus {
  const { error } = member;
  const accepted: Verdict =
    error === undefined
      ? { type: "Accepted", status: "True", reason: "Accepted", message: "" }
      : { type: "Accepted", status: "False", reason: "Invalid", message: error.problems.map(formatProblem).join("; ") };
  return { conditions: conditionsOf(member, [accepted], now), nodes };
}

function madeVerdicts(
  { metadata, error: invalid }: Member<unknown>,
  outcome: Outcome | undefined,
): [accepted: Verdict, compiled: Verdict] {
  const verdict = (type: string, status: Verdict["status"], reason: string, message = ""): Verdict => ({
    ...{ type, status, reason, message },
  });
  const isOld = invalid === undefined && outcome?.generation !== metadata.generation;
  if (isOld) return [verdict("Accepted", "Unknown", "Pending"), verdict("Compiled", "Unknown", "Pending")];
  const error = invalid ?? outcome?.error;
  if (error === undefined) return [verdict("Accepted", "True", "Accepted"), verdict("Compiled", "True", "Compiled")];
  const message = error.problems.map(formatProblem).join("; ");
  return error.problems.every(({ code }) => OF_MODULE.test(code))
    ? [verdict("Accepted", "True", "Accepted"), verdict("Compiled", "False", "NoModule", message)]
    : [verdict("Accepted", "False", "Invalid", message), verdict("Compiled", "Unknown", "NotAccepted")];
}

function programmedVerdict(name: string, generation: number | undefined, reports: PluginFacts["reports"]): Verdict {
  const type = "Programmed";
  if (reports.size === 0) {
    const message = "no node is to run it: look at /spec/placement/nodeSelector";
    return { type, status: "Unknown", reason: "NoNodes", message };
  }
  const faults = [...reports].flatMap(([node, report]) => {
    const fault = faultOf(report, name, generation);
    return fault === undefined ? [] : [{ node, fault }];
  });
  const [first] = faults;
  if (first === undefined) return { type, status: "True", reason: "AllNodes", message: "" };
  const message = `${named(faults.map(({ node }) => node))}: ${first.fault}`;
  return { type, status: "False", reason: "NotOnAllNodes", message };
}

function faultOf(
  report: NodeReportRecord | undefined,
  name: string,
  generation: number | undefined,
): string | undefined {
  if (report === undefined) return "its agent has reported nothing: does it run?";
  const found = report.plugins?.find((plugin) => plugin.name === name);
  if (found?.problem !== undefined) return found.problem;
  return generation !== undefined && found?.generation === generation ? undefined : "not yet done";
}

function readyVerdict(verdicts: readonly Verdict[]): Verdict {
  const type = "Ready";
  const bad = verdicts.find(({ status }) => status !== "True");
  if (bad === undefined) return { type, status: "True", reason: "Ready", message: "" };
  return { ...bad, type, message: bad.message || `not ${bad.type} yet` };
}
