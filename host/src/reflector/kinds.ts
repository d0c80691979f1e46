import type { z } from "zod";
import type { MirroredKind } from "../cluster/keys.js";
import {
  endpointSliceRecord,
  namespaceRecord,
  networkPolicyRecord,
  nodeRecord,
  podRecord,
  serviceCidrRecord,
  serviceRecord,
} from "../cluster/records.js";
import { explainIssues } from "../config/explain.js";
import { SluiceError } from "../errors.js";
import type { KubeObject } from "../kube/api.js";
import { parseIpPool, parseNodeConfig, parsePipeline } from "../resources/parse.js";
import {
  endpointSliceOf,
  namespaceOf,
  networkPolicyOf,
  nodeOf,
  podOf,
  serviceCidrOf,
  serviceOf,
} from "./conversions.js";

/** A mirrored kind: where the API has it, and what of an object agents need. */
export interface Kind {
  readonly kind: MirroredKind;
  readonly apiVersion: string;
  /** As objects of it name their kind. */
  readonly name: string;
  readonly path: string;
  /** An API server of an earlier version does not know it: then there is nothing of it. */
  readonly isOptional?: true;
  /** Undefined: not for agents. @throws SluiceError "malformed-object" with the places in the record, or in the object */
  readonly record: (object: KubeObject) => object | undefined;
}

const CORE = "/api/v1";

function kind(name: string, group: string, mirrored: MirroredKind, record: Kind["record"]): Kind {
  const path = group === "v1" ? CORE : `/apis/${group}`;
  return { kind: mirrored, apiVersion: group, name, path: `${path}/${mirrored}`, record };
}

/** Nodes and pools first: ids and blocks are waited for. */
export const KINDS: readonly Kind[] = [
  kind("NodeConfig", "sluice.dev/v1alpha1", "nodeconfigs", parseNodeConfig),
  kind("IPPool", "sluice.dev/v1alpha1", "ippools", parseIpPool),
  kind("Pipeline", "sluice.dev/v1alpha1", "pipelines", parsePipeline),
  kind("Node", "v1", "nodes", checked(nodeRecord, nodeOf)),
  kind("Namespace", "v1", "namespaces", checked(namespaceRecord, namespaceOf)),
  kind("NetworkPolicy", "networking.k8s.io/v1", "networkpolicies", checked(networkPolicyRecord, networkPolicyOf)),
  kind("Service", "v1", "services", checked(serviceRecord, serviceOf)),
  {
    ...kind("ServiceCIDR", "networking.k8s.io/v1", "servicecidrs", checked(serviceCidrRecord, serviceCidrOf)),
    isOptional: true,
  },
  kind("EndpointSlice", "discovery.k8s.io/v1", "endpointslices", (object) =>
    isOfAgents(object) ? checked(endpointSliceRecord, endpointSliceOf)(object) : undefined,
  ),
  kind("Pod", "v1", "pods", checked(podRecord, podOf)),
];

/** @param name as objects name their kind */
export function kindOf(name: string): Kind {
  const found = KINDS.find((one) => one.name === name);
  if (found === undefined) throw SluiceError.of("internal", "", `${name} is not mirrored`);
  return found;
}

/** Slices of host names, and those of no service, route nothing. */
function isOfAgents({ metadata, addressType }: KubeObject & { addressType?: string }): boolean {
  return addressType !== "FQDN" && metadata.labels?.["kubernetes.io/service-name"] !== undefined;
}

function checked<Schema extends z.ZodType>(schema: Schema, convert: (object: KubeObject) => z.input<Schema>) {
  return (object: KubeObject): object => {
    let converted: z.input<Schema>;
    try {
      converted = convert(object);
    } catch (error) {
      // A field of another shape than this version knows, such as a list that is none.
      if (!(error instanceof TypeError)) throw error;
      throw SluiceError.of("malformed-object", "", error.message, { cause: error });
    }
    const result = schema.safeParse(converted);
    if (result.success) return result.data as object;
    const problems = explainIssues(result.error.issues, converted).map(({ problem }) => problem);
    throw new SluiceError(problems.map((problem) => ({ ...problem, code: "malformed-object" })));
  };
}
