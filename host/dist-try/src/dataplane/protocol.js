import { fileURLToPath } from "node:url";
import { loadPackageDefinition } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
export const CALL_NAMES = ["apply", "changePlugins", "listPlugins", "status"];
/** Metadata key of a refused call's problems. */
export const PROBLEMS_KEY = "sluice-problems-bin";
/** Modules and configurations are far larger than gRPC's default of 4 MiB. */
export const MAX_MESSAGE_BYTES = 256 * 1024 * 1024;
const PROTO = fileURLToPath(new URL("../../proto/sluice/v1/dataplane.proto", import.meta.url));
/** gRPC's view of the service: method paths and serializers. */
export function dataplaneService() {
    const definition = loadSync(PROTO, { longs: Number, enums: String, defaults: true, oneofs: false });
    const sluice = child(child(loadPackageDefinition(definition), "sluice"), "v1");
    const service = sluice.Dataplane;
    if (typeof service !== "function")
        throw new Error(`${PROTO} has no service sluice.v1.Dataplane`);
    return service;
}
function child(object, name) {
    const value = object[name];
    if (typeof value !== "object" || "format" in value)
        throw new Error(`${PROTO} has no package ${name}`);
    return value;
}
//# sourceMappingURL=protocol.js.map