import type { NodeSpec } from "../../../host/src/config/schema.js";
import type { ClusterNode } from "../node.js";

/** What a node's dataplane was last made to be, as it keeps it. */
export async function dataplaneSpec(node: ClusterNode): Promise<NodeSpec> {
  const text = await node.must(["cat", `/var/lib/sluice/${node.name}/state.json`]);
  return (JSON.parse(text) as { spec: NodeSpec }).spec;
}
