import type { PluginSpec } from "../support/node-file.js";
import { natPlugin, policyPlugin } from "../support/plugins.js";
import { httpDistribution, httpGet } from "../support/traffic.js";
import { check } from "./expect.js";
import type { DemoWorld } from "./world.js";

const VIP4 = "10.96.0.10";
const VIP6 = "fd00:96::10";
const REQUESTS = 30;

const url = (address: string, port: number) =>
  address.includes(":") ? `http://[${address}]:${port}/` : `http://${address}:${port}/`;

async function applyPlugins(world: DemoWorld, plugins: PluginSpec[]): Promise<void> {
  for (const node of world.nodes) {
    node.file = { ...node.file, plugins };
    await node.dataplane.apply(node.file);
  }
}

/** Pod 2 of node 1 may not speak HTTP to pod 1 of node 2; pod 1 of node 1 may. */
export async function checkPolicy(world: DemoWorld): Promise<string> {
  const [allowed, denied, server] = [world.pod(1, 1), world.pod(1, 2), world.pod(2, 1)];
  await applyPlugins(world, [
    policyPlugin("allow", [
      {
        action: "deny",
        source: [`${denied.v4}/32`, `${denied.v6}/128`],
        destination: [`${server.v4}/32`, `${server.v6}/128`],
        protocol: "tcp",
        destinationPorts: [8080],
      },
    ]),
  ]);
  for (const address of [server.v4, server.v6]) {
    check((await httpGet(allowed.namespace, url(address, 8080))).server === "pod21", `pod 11 did not reach ${address}`);
    check((await httpGet(denied.namespace, url(address, 8080))).server === undefined, `pod 12 did reach ${address}`);
  }
  const [{ dataplane }] = world.nodes;
  const stage = (await dataplane.status()).native.stages.find(({ name }) => name === "policy");
  const drops = stage?.drops.policy ?? 0;
  check(drops > 0, "policy counted no drop");
  return `pod 11 -> pod 21 port 8080: answered; pod 12 -> the same: dropped (${drops} packets counted under "policy")`;
}

/** A service address whose backends are on different nodes; called from a pod that is none of them, and from a backend. */
export async function checkService(world: DemoWorld): Promise<string> {
  const [client, near, far] = [world.pod(1, 1), world.pod(1, 2), world.pod(2, 1)];
  const service = (vip: string, backends: string[]) => ({
    vip,
    port: 80,
    protocol: "tcp" as const,
    backends: backends.map((address) => ({ address, port: 8080 })),
  });
  const services = [service(VIP4, [near.v4, far.v4]), service(VIP6, [near.v6, far.v6])];
  await applyPlugins(world, [natPlugin(services), policyPlugin("allow", [])]);
  const lines: string[] = [];
  for (const vip of [VIP4, VIP6]) {
    const answers = await httpDistribution(client.namespace, url(vip, 80), REQUESTS);
    const [nearCount, farCount] = [answers.get("pod12") ?? 0, answers.get("pod21") ?? 0];
    check(
      nearCount + farCount === REQUESTS,
      `${vip}: ${answers.get("none") ?? 0} of ${REQUESTS} requests were not answered`,
    );
    check(nearCount > 0 && farCount > 0, `${vip}: one backend got all requests`);
    lines.push(`${vip}:80, ${REQUESTS} requests: pod 12 answered ${nearCount}, pod 21 ${farCount}`);
  }
  const seen = await httpGet(client.namespace, url(VIP4, 80));
  check(seen.client === client.v4, `the backend saw ${seen.client} as the client, not ${client.v4}`);
  const hairpin = await httpDistribution(near.namespace, url(VIP4, 80), REQUESTS);
  check(!hairpin.has("none") && (hairpin.get("pod12") ?? 0) > 0, `a backend did not reach itself through ${VIP4}`);
  lines.push(
    `backends see the client's own address; a backend reaches itself through the service (${hairpin.get("pod12")} times)`,
  );
  return lines.join("\n");
}

export async function checkSrv6(_world: DemoWorld): Promise<string> {
  check(false, "x");
  return "";
}
