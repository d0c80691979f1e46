import { fileURLToPath } from "node:url";
import { type GrpcObject, loadPackageDefinition, type ServiceClientConstructor } from "@grpc/grpc-js";
import { loadSync, type MessageTypeDefinition, type PackageDefinition } from "@grpc/proto-loader";

// To read a file, and to make serializers on their first use, takes milliseconds: once each.
const definitions = new Map<string, PackageDefinition>();
const services = new Map<string, ServiceClientConstructor>();

/** gRPC's view of a service: method paths and serializers. @param file below host/proto, such as "sluice/v1/cni.proto" */
export function loadService(file: string, name: string): ServiceClientConstructor {
  const service = services.get(name) ?? serviceOf(pathOf(file), name);
  services.set(name, service);
  return service;
}

function serviceOf(path: string, name: string): ServiceClientConstructor {
  const definition = load(path);
  const parts = name.split(".");
  let object = loadPackageDefinition(definition);
  for (const part of parts.slice(0, -1)) object = child(object, part, path);
  const service = object[parts.at(-1) ?? ""];
  if (typeof service !== "function") throw new Error(`${path} has no service ${name}`);
  return service as ServiceClientConstructor;
}

/** A message that is no request or answer. */
export function messageType(file: string, name: string): MessageTypeDefinition<object, object> {
  const type = load(pathOf(file))[name];
  if (type === undefined || !("serialize" in type)) throw new Error(`${file} has no message ${name}`);
  return type as MessageTypeDefinition<object, object>;
}

const pathOf = (file: string): string => fileURLToPath(new URL(`../../proto/${file}`, import.meta.url));

function load(path: string): PackageDefinition {
  const definition =
    definitions.get(path) ?? loadSync(path, { longs: Number, enums: String, defaults: true, oneofs: false });
  definitions.set(path, definition);
  return definition;
}

function child(object: GrpcObject, name: string, path: string): GrpcObject {
  const value = object[name];
  if (typeof value !== "object" || "format" in value) throw new Error(`${path} has no package ${name}`);
  return value as GrpcObject;
}
