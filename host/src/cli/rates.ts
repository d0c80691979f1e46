import type { FlowStatus, PortStatus, WorkerStatus } from "@sluice/native";
import type { Figures, StageFigures, StatusResponse } from "../dataplane/protocol.js";
import { sum } from "./counts.js";

/** What a node does in a second, from two of its statuses. Rates are a second; null: there was nothing to divide by. */
export interface Rates {
  node: string;
  pid: number;
  uptimeMs: number;
  generation: number;
  /** Time between the two statuses. */
  elapsedMs: number;
  received: number;
  transmitted: number;
  dropped: number;
  ports: PortRates[];
  workers: WorkerRates[];
  /** In the order of the pipeline. */
  stages: StageRates[];
  /** Native drops by reason and stages' by theirs; only those that happened. */
  drops: { reason: string; stage: string; packets: number }[];
  flows: { active: number; max: number; created: number; expired: number; evicted: number; refused: number };
}

export interface PortRates {
  name: string;
  up: boolean;
  rxPackets: number;
  rxBits: number;
  txPackets: number;
  txBits: number;
  errors: number;
}

export interface WorkerRates {
  id: number;
  core: number;
  received: number;
  transmitted: number;
  /** Share of the time spent on packets, from 0 to 1. */
  busy: number;
  packetsPerBurst: number | null;
  cyclesPerPacket: number | null;
}

export interface StageRates {
  name: string;
  version: string;
  state: string;
  packets: number;
  dropped: number;
  failures: number;
  cyclesPerPacket: number | null;
  /** By worker, in the order of their ids. */
  workers: { packets: number; cyclesPerPacket: number | null }[];
}

/**
 * The rates between two statuses. A counter that went down was started anew, as by a swap, and counts from zero; so do
 * all of them when another process answers, since its start, and what was not there before.
 */
export function ratesBetween(before: StatusResponse, after: StatusResponse): Rates {
  const isSameProcess = before.pid === after.pid && before.native.uptimeMs <= after.native.uptimeMs;
  const old = isSameProcess ? before.native : undefined;
  const now = after.native;
  const elapsedMs = now.uptimeMs - (old?.uptimeMs ?? 0);
  const perSecond: PerSecond = (value) => (elapsedMs === 0 ? 0 : (1000 * value) / elapsedMs);

  const cycles = (now.tscHz * elapsedMs) / 1000;
  const workers = now.workers.map((worker) => {
    const base = old?.workers.find(({ id }) => id === worker.id);
    return workerRates(base, worker, cycles, perSecond);
  });
  const drops = dropRates(old, now, perSecond);
  return {
    node: after.name,
    pid: after.pid,
    uptimeMs: now.uptimeMs,
    generation: now.generation,
    elapsedMs,
    received: total(workers, "received"),
    transmitted: total(workers, "transmitted"),
    dropped: total(drops, "packets"),
    ports: now.ports.map((port) => portRates(named(old?.ports, port.name), port, perSecond)),
    workers,
    stages: now.stages.map((stage) => stageRates(named(old?.stages, stage.name), stage, perSecond)),
    drops,
    flows: flowRates(old?.flows, now.flows, perSecond),
  };
}

type PerSecond = (value: number) => number;

function workerRates(
  before: WorkerStatus | undefined,
  after: WorkerStatus,
  cycles: number,
  perSecond: PerSecond,
): WorkerRates {
  const delta = since(before, after);
  return {
    id: after.id,
    core: after.core,
    received: perSecond(delta("received")),
    transmitted: perSecond(delta("transmitted")),
    busy: cycles === 0 ? 0 : Math.min(1, delta("busyCycles") / cycles),
    packetsPerBurst: ratio(delta("received"), delta("bursts")),
    cyclesPerPacket: ratio(delta("busyCycles"), delta("received")),
  };
}

function portRates(before: PortStatus | undefined, after: PortStatus, perSecond: PerSecond): PortRates {
  const delta = since(before, after);
  return {
    name: after.name,
    up: after.up,
    rxPackets: perSecond(delta("rxPackets")),
    rxBits: perSecond(8 * delta("rxBytes")),
    txPackets: perSecond(delta("txPackets")),
    txBits: perSecond(8 * delta("txBytes")),
    errors: perSecond(delta("rxErrors") + delta("txErrors")),
  };
}

function stageRates(before: StageFigures | undefined, after: StageFigures, perSecond: PerSecond): StageRates {
  const delta = since(before, after);
  return {
    name: after.name,
    version: after.version,
    state: after.state,
    packets: perSecond(delta("packets")),
    dropped: perSecond(sum(countsSince(before?.drops, after.drops))),
    failures: perSecond(delta("failures")),
    cyclesPerPacket: ratio(delta("cycles"), delta("packets")),
    workers: after.workers.map((worker, id) => {
      const ofWorker = since(before?.workers[id], worker);
      return {
        packets: perSecond(ofWorker("packets")),
        cyclesPerPacket: ratio(ofWorker("cycles"), ofWorker("packets")),
      };
    }),
  };
}

function dropRates(before: Figures | undefined, after: Figures, perSecond: PerSecond): Rates["drops"] {
  const places = [
    { stage: "", old: before?.drops, now: after.drops },
    ...after.stages.map(({ name, drops }) => ({ stage: name, old: named(before?.stages, name)?.drops, now: drops })),
  ];
  return places
    .flatMap(({ stage, old, now }) =>
      Object.entries(countsSince(old, now)).map(([reason, packets]) => ({
        reason,
        stage,
        packets: perSecond(packets),
      })),
    )
    .filter(({ packets }) => packets > 0)
    .sort((a, b) => b.packets - a.packets);
}

function flowRates(before: FlowStatus | undefined, after: FlowStatus, perSecond: PerSecond): Rates["flows"] {
  const delta = since(before, after);
  return {
    active: after.active,
    max: after.max,
    created: perSecond(delta("created")),
    expired: perSecond(delta("expired")),
    evicted: perSecond(delta("evicted")),
    refused: perSecond(delta("refused")),
  };
}

function named<Item extends { name: string }>(items: readonly Item[] | undefined, name: string): Item | undefined {
  return items?.find((item) => item.name === name);
}

type NumberKeys<Counters> = { [Key in keyof Counters]: Counters[Key] extends number ? Key : never }[keyof Counters];

/** What a counter has grown by. */
function since<Counters>(before: Counters | undefined, after: Counters): (key: NumberKeys<Counters>) => number {
  return (key) => grown(before?.[key] as number | undefined, after[key] as number);
}

function countsSince(
  before: Readonly<Record<string, number>> | undefined,
  after: Readonly<Record<string, number>>,
): Record<string, number> {
  return Object.fromEntries(Object.entries(after).map(([key, value]) => [key, grown(before?.[key], value)]));
}

function grown(before = 0, after: number): number {
  return after < before ? after : after - before;
}

function ratio(value: number, by: number): number | null {
  return by === 0 ? null : value / by;
}

function total<Key extends string>(items: readonly Record<Key, number>[], key: Key): number {
  return items.reduce((all, item) => all + item[key], 0);
}
