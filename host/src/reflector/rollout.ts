import type { NodeReportRecord, PluginRecord, PluginReport, PluginVersion, RolloutRecord } from "../cluster/records.js";
import { hasReached } from "../cluster/versions.js";
import type { PastVersion } from "../resources/status.js";

// How a Plugin's versions come to the nodes, and go back. Pure: what is under way is in etcd, and another reflector goes on with it.

/** What etcd has of a Plugin; both are written at once. */
export interface Rollout {
  readonly record: PluginRecord;
  readonly past: RolloutRecord;
}

/** A node that a version is to run on. */
export interface NodeProgress {
  readonly node: string;
  /** Of the Plugin; undefined: its agent has reported nothing of it. */
  readonly report: PluginReport | undefined;
}

type About = Pick<PluginRecord, "name" | "uid" | "createdAt">;

export const MAX_HISTORY = 10;
/** Nodes that are away for longer than a version takes do not keep it from being the one that others go back to. */
const AWAY_MS = 60_000;

/** A version was made of a Plugin: it is under way, unless it is already, or has failed before. */
export function offered(known: Rollout | undefined, about: About, version: PluginVersion, now: Date): Rollout {
  const { name, uid } = about;
  const before = known && withStanding(known, version);
  const isAnew = before?.past.uid !== uid; // of the one before it has no more than what runs
  const past: RolloutRecord = { ...(isAnew ? { history: [] } : before.past), name, uid };
  const record: PluginRecord = { ...before?.record, ...about };
  if (past.refused?.id === version.id || record.next?.version.id === version.id) return { record, past };
  const { next, ...standing } = record;
  if (record.live?.id === version.id) {
    return { record: standing, past: next === undefined ? past : withOutcome(past, "Superseded") };
  }
  const { refused: _, ...kept } = past;
  return {
    record: { ...standing, next: { version } },
    past: { ...kept, since: now.toISOString(), history: withEntry(past.history, version, now) },
  };
}

/** A first version that another one follows soon is still better to go back to than none. */
function withStanding(rollout: Rollout, { id }: PluginVersion): Rollout {
  const { live, next } = rollout.record;
  const isFirst = live === undefined && next !== undefined && next.version.rollout.strategy !== "NodeByNode";
  return isFirst && next.version.id !== id ? wentLive(rollout, next.version) : rollout;
}

/** What follows from how far the nodes have got. The same object where nothing does. @param nodes that it is to run on, by name */
export function advanced(rollout: Rollout, nodes: readonly NodeProgress[], now: Date): Rollout {
  const { next } = rollout.record;
  if (next === undefined) return rollout;
  const failed = nodes.find(({ report }) => report?.refused === next.version.id);
  if (failed !== undefined) return wentBack(rollout, next.version, `${failed.node}: ${failed.report?.problem ?? ""}`);
  const isSettled = ({ report }: NodeProgress) => report?.version === next.version.id && report.settled === true;
  const areSettled = nodes.every((each) => !hasReached(next, each.node) || isSettled(each));
  const following = nodes.find(({ node }) => !hasReached(next, node));
  if (following !== undefined) {
    if (!areSettled) return rollout;
    return { ...rollout, record: { ...rollout.record, next: { ...next, through: following.node } } };
  }
  return areSettled || isOverdue(rollout, next.version, nodes, now) ? wentLive(rollout, next.version) : rollout;
}

export const reportOf = (report: NodeReportRecord | undefined, plugin: string): PluginReport | undefined =>
  report?.plugins?.find(({ name }) => name === plugin);

function isOverdue(
  { past: { since } }: Rollout,
  { rollout }: PluginVersion,
  nodes: readonly NodeProgress[],
  now: Date,
): boolean {
  const isInTrouble = nodes.some(({ report }) => report?.problem !== undefined);
  if (rollout.strategy === "NodeByNode" || since === undefined || isInTrouble) return false;
  const ownMs = (rollout.settleSeconds + (rollout.strategy === "Shadow" ? rollout.shadow.timeoutSeconds : 0)) * 1000;
  return now.getTime() - Date.parse(since) > ownMs + AWAY_MS;
}

function wentLive({ record, past }: Rollout, version: PluginVersion): Rollout {
  const { next: _, live, ...rest } = record;
  const previous = live === undefined || live.digest === version.digest ? {} : { previousDigest: live.digest };
  const { since: __, ...kept } = past;
  return { record: { ...rest, live: version, ...previous }, past: withOutcome(kept, "Live") };
}

function wentBack({ record, past }: Rollout, version: PluginVersion, message: string): Rollout {
  const { next: _, ...standing } = record;
  const { since: __, ...kept } = past;
  // A configuration that went back: the generation that it is of runs on with the one before.
  const isOfLive = standing.live?.generation === version.generation && standing.live.digest === version.digest;
  const { id, source, digest } = version;
  return {
    record: standing,
    past: { ...withOutcome(kept, isOfLive ? "Live" : "RolledBack", message), refused: { id, source, digest } },
  };
}

function withEntry(history: readonly PastVersion[], version: PluginVersion, now: Date): PastVersion[] {
  const { generation, digest, origin } = version;
  const last = history.at(-1);
  const isSame = last?.generation === generation && last.digest === digest;
  const before = history
    .slice(0, isSame ? -1 : undefined)
    .map((entry): PastVersion => (entry.outcome === "RollingOut" ? { ...entry, outcome: "Superseded" } : entry));
  const time = isSame ? last.time : seconds(now);
  const all: PastVersion[] = [...before, { generation, digest, source: origin, time, outcome: "RollingOut" }];
  const spare = all.length - MAX_HISTORY;
  const isOld = (entry: PastVersion, index: number) => entry.outcome !== "Live" && index < all.length - 1;
  const gone = new Set(all.filter(isOld).slice(0, Math.max(0, spare)));
  return all.filter((entry) => !gone.has(entry));
}

/** Of the last one; what was live before it is no more once it is. */
function withOutcome(past: RolloutRecord, outcome: PastVersion["outcome"], message?: string): RolloutRecord {
  const history = past.history.map((entry, index): PastVersion => {
    if (index === past.history.length - 1) return { ...entry, outcome, ...(message === undefined ? {} : { message }) };
    return outcome === "Live" && entry.outcome === "Live" ? { ...entry, outcome: "Superseded" } : entry;
  });
  return { ...past, history };
}

/** As the API keeps times. */
const seconds = (time: Date): string => time.toISOString().replace(/\.\d+Z$/, "Z");
