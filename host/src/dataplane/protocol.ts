import type { MethodDefinition, ServiceClientConstructor } from "@grpc/grpc-js";
import type {
  ApplyResult,
  CaptureOptions,
  FlowQuery,
  FlowRecord,
  DropRecord as NativeDropRecord,
  Profile as NativeProfile,
  ShadowReport as NativeShadowReport,
  NativeStatus,
  ProfileOptions,
  StageStatus,
  StageTrap,
  TraceOptions,
  TraceRead,
} from "@sluice/native";
import { loadService } from "../grpc/service.js";

// proto/sluice/v1/dataplane.proto in TypeScript: field names in camel case, 64-bit numbers as numbers.

export interface Module {
  digest: string;
  wasm: Uint8Array;
}

export interface ApplyRequest {
  specJson: string;
  modules: Module[];
}

export interface ApplyResponse extends ApplyResult {
  /** Names the state that the node has now; every transaction and every start gives another one. */
  revision: string;
}

export interface UpdateRequest {
  base: string;
  differenceJson: string;
  modules: Module[];
}

export interface DigestResponse {
  revision: string;
  /** As specDigest() makes it. */
  digest: string;
}

export type PluginChange =
  | { load: { pluginJson: string } }
  | { swap: { name: string; digest?: string; origin?: string; configJson?: string; resetFlowState: boolean } }
  | { unload: { name: string } }
  | { rollback: { name: string; revision?: number } };

export interface Shadow {
  packets: number;
  maxDifferences: number;
  timeoutMs: number;
}

export interface Probation {
  durationMs: number;
  maxFailures: number;
}

export interface ChangePluginsRequest {
  changes: PluginChange[];
  modules: Module[];
  shadow?: Shadow;
  probation?: Probation;
}

export interface ShadowRequest {
  /** Of the node spec, as JSON. */
  pluginsJson: string[];
  modules: Module[];
  limits: Shadow;
}

export type ShadowReport = NativeShadowReport & { plugin: string };

export interface ChangePluginsResponse extends ApplyResponse {
  shadows: ShadowReport[];
}

export interface PluginRevision {
  number: number;
  version: string;
  digest: string;
  origin: string;
  appliedAt: string;
}

export interface PluginInfo {
  name: string;
  version: string;
  digest: string;
  origin: string;
  hooks: string[];
  failure: string;
  budgetUs: number;
  scope: string[];
  revisions: PluginRevision[];
}

export interface ListPluginsResponse {
  plugins: PluginInfo[];
}

/** Lines and columns from 1. */
export interface Place {
  file: string;
  line: number;
  column: number;
}

/** A place in a plugin's source, or in the library that it is built with (~sdk/, ~lib/). */
export interface Source extends Place {
  function: string;
  /** Of a place in the library: the nearest of the plugin's own before it, most often the call's. */
  near: Place | null;
}

/** With where it is in the source; null: the module has no source map, or the dataplane has the module no longer. */
export type Placed<Item> = Item & { source: Source | null };

export type Trap = Omit<StageTrap, "frames"> & { frames: Placed<StageTrap["frames"][number]>[] };
export type StageFigures = Omit<StageStatus, "lastTrap"> & { lastTrap: Trap | null };

/** The addon's messages go to the log, not to who asks for the status. */
export type NativeFigures = Omit<NativeStatus, "messages">;
export type Figures = Omit<NativeFigures, "stages"> & { stages: StageFigures[] };

export interface StatusResponse {
  name: string;
  pid: number;
  version: string;
  native: Figures;
  /** Traces and captures in work; each costs its packets time. */
  observers: number;
  revision: string;
}

export interface CapturedPacket {
  /** Unix time. */
  seconds: number;
  nanoseconds: number;
  point: string;
  port: string;
  /** Of the whole frame. */
  length: number;
  bytes: Uint8Array;
  /** Of a drop; `stage` is there when a stage decided so. */
  reason?: string;
  stage?: string;
}

export type CaptureRequest = Omit<CaptureOptions, "points"> & { points: string[] };

export interface CaptureResponse {
  packets: CapturedPacket[];
  /** Did not fit into the buffer since the message before. */
  lost: number;
}

/** `meaning`: of the reason; empty where nobody knows it. */
export type DropRecord = NativeDropRecord & { meaning: string };

export type Profile = Omit<NativeProfile, "places"> & { places: Placed<NativeProfile["places"][number]>[] };

/** Each call's request and response. */
export interface Calls {
  apply: [ApplyRequest, ApplyResponse];
  update: [UpdateRequest, ApplyResponse];
  digest: [Record<string, never>, DigestResponse];
  changePlugins: [ChangePluginsRequest, ChangePluginsResponse];
  shadow: [ShadowRequest, { shadows: ShadowReport[] }];
  listPlugins: [Record<string, never>, ListPluginsResponse];
  status: [Record<string, never>, StatusResponse];
  drops: [Record<string, never>, { drops: DropRecord[] }];
  flows: [FlowQuery, { flows: FlowRecord[] }];
  profile: [ProfileOptions, Profile];
}
export type CallName = keyof Calls;
export const CALL_NAMES: readonly CallName[] = [
  "apply",
  "update",
  "digest",
  "changePlugins",
  "shadow",
  "listPlugins",
  "status",
  "drops",
  "flows",
  "profile",
];

/** Each stream's request and the message that comes again and again. */
export interface Streams {
  trace: [TraceOptions, TraceRead];
  capture: [CaptureRequest, CaptureResponse];
}
export type StreamName = keyof Streams;
export const STREAM_NAMES: readonly StreamName[] = ["trace", "capture"];

/** Metadata key of a refused call's problems. */
export const PROBLEMS_KEY = "sluice-problems-bin";

/** Modules and configurations are far larger than gRPC's default of 4 MiB. */
export const MAX_MESSAGE_BYTES = 256 * 1024 * 1024;

/** gRPC's view of the service. */
export function dataplaneService(): ServiceClientConstructor {
  return loadService("sluice/v1/dataplane.proto", "sluice.v1.Dataplane");
}

/** A call's path and serializers. */
export function methodOf(name: CallName | StreamName): MethodDefinition<object, object> {
  const method = Object.values(dataplaneService().service).find(({ originalName }) => originalName === name);
  if (method === undefined) throw new Error(`the dataplane's service has no call ${name}`);
  return method;
}
