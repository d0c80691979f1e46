import { fileURLToPath } from "node:url";
import {
  type GrpcObject,
  loadPackageDefinition,
  type MethodDefinition,
  type ServiceClientConstructor,
} from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import type { ApplyResult, ShadowReport as NativeShadowReport, NativeStatus } from "@sluice/native";

// proto/sluice/v1/dataplane.proto in TypeScript: field names in camel case, 64-bit numbers as numbers.

export interface Module {
  digest: string;
  wasm: Uint8Array;
}

export interface ApplyRequest {
  specJson: string;
  modules: Module[];
}

export type ApplyResponse = ApplyResult;

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

export type ShadowReport = NativeShadowReport & { plugin: string };

export interface ChangePluginsResponse extends ApplyResult {
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

/** The addon's messages go to the log, not to who asks for the status. */
export type Figures = Omit<NativeStatus, "messages">;

export interface StatusResponse {
  name: string;
  pid: number;
  version: string;
  native: Figures;
}

/** Each call's request and response. */
export interface Calls {
  apply: [ApplyRequest, ApplyResponse];
  changePlugins: [ChangePluginsRequest, ChangePluginsResponse];
  listPlugins: [Record<string, never>, ListPluginsResponse];
  status: [Record<string, never>, StatusResponse];
}
export type CallName = keyof Calls;
export const CALL_NAMES: readonly CallName[] = ["apply", "changePlugins", "listPlugins", "status"];

/** Metadata key of a refused call's problems. */
export const PROBLEMS_KEY = "sluice-problems-bin";

/** Modules and configurations are far larger than gRPC's default of 4 MiB. */
export const MAX_MESSAGE_BYTES = 256 * 1024 * 1024;

const PROTO = fileURLToPath(new URL("../../proto/sluice/v1/dataplane.proto", import.meta.url));

/** gRPC's view of the service: method paths and serializers. */
export function dataplaneService(): ServiceClientConstructor {
  const definition = loadSync(PROTO, { longs: Number, enums: String, defaults: true, oneofs: false });
  const sluice = child(child(loadPackageDefinition(definition), "sluice"), "v1");
  const service = sluice.Dataplane;
  if (typeof service !== "function") throw new Error(`${PROTO} has no service sluice.v1.Dataplane`);
  return service as ServiceClientConstructor;
}

/** A call's path and serializers. */
export function methodOf(name: CallName): MethodDefinition<object, object> {
  const method = Object.values(dataplaneService().service).find(({ originalName }) => originalName === name);
  if (method === undefined) throw new Error(`${PROTO} has no call ${name}`);
  return method;
}

function child(object: GrpcObject, name: string): GrpcObject {
  const value = object[name];
  if (typeof value !== "object" || "format" in value) throw new Error(`${PROTO} has no package ${name}`);
  return value as GrpcObject;
}
