import type { ChangePluginsRequest, ChangePluginsResponse } from "../../dataplane/protocol.js";
import { SluiceError } from "../../errors.js";
import { type ConnectionOptions, clusterMeant, connected } from "../connection.js";
import type { Io } from "../output.js";
import { outcomesText, shadowsText } from "../tables.js";

/** @throws SluiceError "cluster-managed": a cluster's nodes are what its objects say */
export async function change(io: Io, options: ConnectionOptions, request: ChangePluginsRequest): Promise<void> {
  if ((await clusterMeant(options)) !== undefined) {
    const remedy = "its nodes run what the cluster's Plugin objects say; change those with kubectl apply and delete";
    throw SluiceError.of("cluster-managed", "", remedy);
  }
  const result = await connected(options, (client) => client.call("changePlugins", request, options.timeout));
  io.out(options.output === "json" ? JSON.stringify(result) : changeText(result));
}

function changeText(result: ChangePluginsResponse): string {
  return [...(result.shadows.length === 0 ? [] : [shadowsText(result.shadows)]), outcomesText(result)].join("\n\n");
}
