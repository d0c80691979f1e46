import type { ServiceClientConstructor } from "@grpc/grpc-js";
import { loadService, messageType } from "../../grpc/service.js";

// proto/sluice/v1/cni.proto in TypeScript: field names in camel case; a message that was not given is null.

export interface AttachmentMessage {
  containerId: string;
  ifname: string;
}

export interface PortMappingMessage {
  hostPort: number;
  containerPort: number;
  protocol: string;
  hostIp: string;
}

export interface AddRequest {
  attachment: AttachmentMessage | null;
  netns: string;
  pod: { namespace: string; name: string; uid: string } | null;
  portMappings: PortMappingMessage[];
}

export interface InterfaceMessage {
  name: string;
  mac: string;
  mtu: number;
  addresses: { address: string; gateway: string }[];
  socketPath: string;
}

export interface AddResponse {
  interfaces: InterfaceMessage[];
  routes: { destination: string; gateway: string }[];
}

export interface DelRequest {
  attachment: AttachmentMessage | null;
  netns: string;
}

export interface CheckRequest {
  attachment: AttachmentMessage | null;
  netns: string;
  addresses: string[];
}

export interface GcRequest {
  valid: AttachmentMessage[];
}

type Empty = Record<string, never>;

/** Each call's request and response. */
export interface CniCalls {
  add: [AddRequest, AddResponse];
  del: [DelRequest, Empty];
  check: [CheckRequest, Empty];
  status: [Empty, Empty];
  gc: [GcRequest, Empty];
}
export type CniCallName = keyof CniCalls;
export const CNI_CALL_NAMES: readonly CniCallName[] = ["add", "del", "check", "status", "gc"];

/** Metadata key of a refused call's CniError. */
export const CNI_ERROR_KEY = "sluice-cni-error-bin";

export interface CniErrorMessage {
  code: number;
  message: string;
  details: string;
}

const FILE = "sluice/v1/cni.proto";

const errorType = () => messageType(FILE, "sluice.cni.v1.CniError");

/** As the trailing metadata carries it. */
export function encodeCniError(error: CniErrorMessage): Buffer {
  return errorType().serialize(error);
}

export function decodeCniError(bytes: Buffer): CniErrorMessage {
  return errorType().deserialize(bytes) as CniErrorMessage;
}

export function cniService(): ServiceClientConstructor {
  return loadService(FILE, "sluice.cni.v1.Cni");
}
