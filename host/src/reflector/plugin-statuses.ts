import type { NodeReportRecord, PipelineRecord, PluginRecord } from "../cluster/records.js";
import { nodePlugin } from "../cluster/versions.js";
import { formatProblem } from "../errors.js";
import type { PipelineStatus, PluginStatus } from "../resources/status.js";
import type { Outcome } from "./plugin-publisher.js";
import { isCrash } from "./retries.js";
import { type Rollout, reportOf } from "./rollout.js";
import type { Member } from "./roster.js";
import { conditionsOf, named, type Verdict } from "./statuses.js";

// The statuses of Plugins and Pipelines, from what is known. Pure.

/** What goes wrong while a module is made, not with what the Plugin says. */
const OF_MODULE = /^(plugin-build-failed|module-.*|compile-.*|fetch-failed|digest-mismatch)$/;

export interface PluginFacts {
  readonly outcome: Outcome | undefined;
  /** As etcd has it. */
  readonly rollout: Rollout | undefined;
  /** Of the nodes that it is to run on. */
  readonly reports: ReadonlyMap<string, NodeReportRecord | undefined>;
}

export function pluginStatus(member: Member<unknown>, facts: PluginFacts, now: Date): PluginStatus {
  const { name } = member.metadata;
  const { rollout, reports } = facts;
  const { record, past } = rollout ?? {};
  const nodes = [...reports].map(([node, report]) => progressOf(node, report, name, record));
  const [accepted, compiled] = madeVerdicts(member, facts.outcome);
  const programmed = programmedVerdict(rollout, nodes);
  const verdicts = [accepted, compiled, programmed, readyVerdict([accepted, compiled, programmed], rollout)];
  const lastError = lastErrorOf(reports, name);
  return {
    conditions: conditionsOf(member, verdicts, now),
    nodes: nodes.length,
    readyNodes: nodes.filter(({ fault }) => fault === undefined).length,
    ...(record?.live === undefined ? {} : { digest: record.live.digest }),
    ...(record?.previousDigest === undefined ? {} : { previousDigest: record.previousDigest }),
    ...(lastError === undefined ? {} : { lastError }),
    ...(past === undefined || past.history.length === 0 ? {} : { history: past.history }),
  };
}

/** @param reports of the nodes that it holds for */
export function pipelineStatus(
  member: Member<PipelineRecord>,
  reports: ReadonlyMap<string, NodeReportRecord | undefined>,
  now: Date,
): PipelineStatus {
  const { error } = member;
  const accepted: Verdict =
    error === undefined
      ? { type: "Accepted", status: "True", reason: "Accepted", message: "" }
      : { type: "Accepted", status: "False", reason: "Invalid", message: error.problems.map(formatProblem).join("; ") };
  return { conditions: conditionsOf(member, [accepted, ranVerdict(member, reports)], now), nodes: reports.size };
}

function ranVerdict({ metadata }: Member<PipelineRecord>, reports: PluginFacts["reports"]): Verdict {
  const type = "Programmed";
  if (reports.size === 0) {
    const message = "it holds for no node: look at /spec/nodeSelector and /spec/priority";
    return { type, status: "Unknown", reason: "NoNodes", message };
  }
  const faults = [...reports].flatMap(([node, report]) => {
    const { name, generation, problem } = report?.pipeline ?? {};
    const isDone = name === metadata.name && generation === metadata.generation;
    const fault = problem ?? (isDone ? undefined : "not yet done");
    return fault === undefined ? [] : [{ node, fault }];
  });
  if (faults.length === 0) return { type, status: "True", reason: "AllNodes", message: "" };
  const message = `${named(faults.map(({ node }) => node))}: ${faults[0]?.fault}`;
  return { type, status: "False", reason: "NotOnAllNodes", message };
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
  if (isCrash(error)) {
    const told = `${message}; ${againAfter(outcome)}`;
    return [verdict("Accepted", "True", "Accepted"), verdict("Compiled", "False", "CompilerCrashed", told)];
  }
  return error.problems.every(({ code }) => OF_MODULE.test(code))
    ? [verdict("Accepted", "True", "Accepted"), verdict("Compiled", "False", "NoModule", message)]
    : [verdict("Accepted", "False", "Invalid", message), verdict("Compiled", "Unknown", "NotAccepted")];
}

function againAfter({ failures = 1, retryAfterMs = 0 }: Partial<Outcome> = {}): string {
  const times = failures === 1 ? "once" : `${failures} times in a row`;
  return `so far ${times}; tried again ${retryAfterMs / 1000} s after the last time, and at once when the Plugin changes`;
}

/** How far a node has got; without a fault it runs the version that it should. */
interface Progress {
  readonly node: string;
  readonly fault: string | undefined;
  /** That is the version under way. */
  readonly isNext: boolean;
}

function progressOf(
  node: string,
  report: NodeReportRecord | undefined,
  name: string,
  record: PluginRecord | undefined,
): Progress {
  const wanted = record && nodePlugin(record, node)?.version.id;
  const isNext = wanted !== undefined && wanted === record?.next?.version.id;
  if (report === undefined) return { node, isNext, fault: "its agent has reported nothing: does it run?" };
  const found = reportOf(report, name);
  const isDone = wanted !== undefined && found?.version === wanted;
  return { node, isNext, fault: found?.problem ?? (isDone ? undefined : "not yet done") };
}

function programmedVerdict(rollout: Rollout | undefined, nodes: readonly Progress[]): Verdict {
  const type = "Programmed";
  const { record, past } = rollout ?? {};
  if (past?.refused !== undefined) {
    const runs = record?.live === undefined ? "no version runs" : `generation ${record.live.generation} runs`;
    const why = past.history.at(-1)?.message ?? "";
    const message = `it went back on all nodes, ${runs}; change the Plugin to try again; ${why}`;
    return { type, status: "False", reason: "RolledBack", message };
  }
  if (nodes.length === 0) {
    const message = "no node is to run it: look at /spec/placement/nodeSelector";
    return { type, status: "Unknown", reason: "NoNodes", message };
  }
  const faulty = nodes.filter(({ fault }) => fault !== undefined);
  const waiting = record?.next === undefined ? [] : nodes.filter(({ isNext }) => !isNext);
  const told = faulty.length === 0 ? "" : `${named(faulty.map(({ node }) => node))}: ${faulty[0]?.fault}`;
  if (waiting.length > 0) {
    const reached = `generation ${record?.next?.version.generation} has come to ${nodes.length - waiting.length} of ${nodes.length} nodes`;
    const message = told === "" ? reached : `${reached}, and comes to no further while this is so: ${told}`;
    return { type, status: "False", reason: "RollingOut", message };
  }
  if (told === "") return { type, status: "True", reason: "AllNodes", message: "" };
  return { type, status: "False", reason: "NotOnAllNodes", message: told };
}

function readyVerdict(verdicts: readonly Verdict[], rollout: Rollout | undefined): Verdict {
  const type = "Ready";
  const bad = verdicts.find(({ status }) => status !== "True");
  if (bad !== undefined) return { ...bad, type, message: bad.message || `not ${bad.type} yet` };
  const next = rollout?.record.next?.version;
  if (next === undefined) return { type, status: "True", reason: "Ready", message: "" };
  const message = `all nodes run it; whether they do well for ${next.rollout.settleSeconds} s is seen`;
  return { type, status: "False", reason: "Settling", message };
}

function lastErrorOf(reports: PluginFacts["reports"], name: string): PluginStatus["lastError"] {
  const found = [...reports].flatMap(([node, report]) => {
    const failure = reportOf(report, name)?.failure;
    return failure === undefined ? [] : [{ node, ...failure }];
  });
  return found.sort((a, b) => (a.time < b.time ? 1 : -1))[0];
}
