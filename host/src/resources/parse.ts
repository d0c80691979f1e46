import type { z } from "zod";
import type { IpPoolRecord, NodeConfigRecord } from "../cluster/records.js";
import { explainIssues } from "../config/explain.js";
import { SluiceError } from "../errors.js";
import type { KubeObject } from "../kube/api.js";
import { ipPoolSpec } from "./ip-pool.js";
import { nodeConfigSpec } from "./node-config.js";

/** @throws SluiceError "invalid-spec" with every problem's place in the object */
export function parseNodeConfig(object: KubeObject): NodeConfigRecord {
  return parse(object, nodeConfigSpec);
}

/** @throws SluiceError "invalid-spec" with every problem's place in the object */
export function parseIpPool(object: KubeObject): IpPoolRecord {
  return parse(object, ipPoolSpec);
}

function parse<Schema extends z.ZodType>(object: KubeObject & { spec?: unknown }, schema: Schema) {
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
