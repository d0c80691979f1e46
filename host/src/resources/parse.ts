import type { z } from "zod";
import type { IpPoolRecord, NodeConfigRecord } from "../cluster/records.js";
import { explainIssues } from "../config/explain.js";
import { isName } from "../config/values.js";
import { SluiceError } from "../errors.js";
import type { KubeObject } from "../kube/api.js";
import { ipPoolSpec } from "./ip-pool.js";
import { nodeConfigSpec } from "./node-config.js";
import { type PipelineSpec, pipelineSpec } from "./pipeline.js";
import { type PluginSpecification, pluginSpecification } from "./plugin.js";

/** An object whose spec can be used, with all defaults filled in. */
export interface Parsed<Spec> {
  readonly name: string;
  readonly uid: string;
  readonly generation: number;
  readonly spec: Spec;
}

/** @throws SluiceError "invalid-spec" with every problem's place in the object */
export function parseNodeConfig(object: KubeObject): NodeConfigRecord {
  return parse(object, nodeConfigSpec);
}

/** @throws SluiceError "invalid-spec" with every problem's place in the object */
export function parseIpPool(object: KubeObject): IpPoolRecord {
  return parse(object, ipPoolSpec);
}

/** @throws SluiceError "invalid-spec" with every problem's place in the object, or "invalid-name" */
export function parsePlugin(object: KubeObject): Parsed<PluginSpecification> {
  const { name } = object.metadata;
  if (!isName(name) || RESERVED.test(name)) {
    const message = `found ${name}; allowed: up to 63 characters, and no name of Sluice's own stages (policy, nat)`;
    throw SluiceError.of("invalid-name", "/metadata/name", message);
  }
  return parse(object, pluginSpecification);
}

/** @throws SluiceError "invalid-spec" with every problem's place in the object */
export function parsePipeline(object: KubeObject): Parsed<PipelineSpec> {
  return parse(object, pipelineSpec);
}

/** Sluice's own stages, and the names that they have on a node. */
const RESERVED = /^(nat|policy(-egress|-ingress)?)$/;

function parse<Schema extends z.ZodType>(
  object: KubeObject & { spec?: unknown },
  schema: Schema,
): Parsed<z.output<Schema>> {
  const spec = object.spec ?? {};
  const result = schema.safeParse(spec);
  if (!result.success) {
    const problems = explainIssues(result.error.issues, spec).map(({ problem }) => problem);
    throw new SluiceError(
      problems.map(({ path, message }) => ({ code: "invalid-spec", path: `/spec${path}`, message })),
    );
  }
  const { name, uid, generation = 0 } = object.metadata;
  return { name, uid, generation, spec: result.data };
}
