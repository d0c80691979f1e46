import { sidRoute, UPLINK } from "../support/address-plan.js";
import { capture } from "../support/capture.js";
import type { PluginSpec } from "../support/node-file.js";
import { natPlugin, policyPlugin, srv6Plugin } from "../support/plugins.js";
import { httpDistribution, httpGet, ping } from "../support/traffic.js";
import { check } from "./expect.js";
import { throughput } from "./figures.js";
import type { Seen } from "./report.js";
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
export async function checkPolicy(world: DemoWorld): Promise<Seen> {
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
  return {
    headline: "HTTP from one pod is answered, from the other one dropped, IPv4 and IPv6",
    details: [
      `pod 11 to pod 21 port 8080: answered; pod 12 to the same: ${drops} packets dropped, counted under "policy"`,
    ],
  };
}

/** A service address whose backends are on different nodes; called from a pod that is none of them, and from a backend. */
export async function checkService(world: DemoWorld): Promise<Seen> {
  const [client, near, far] = [world.pod(1, 1), world.pod(1, 2), world.pod(2, 1)];
  const service = (vip: string, backends: string[]) => ({
    vip,
    port: 80,
    protocol: "tcp" as const,
    backends: backends.map((address) => ({ address, port: 8080 })),
  });
  const services = [service(VIP4, [near.v4, far.v4]), service(VIP6, [near.v6, far.v6])];
  await applyPlugins(world, [natPlugin(services), policyPlugin("allow", [])]);
  const details: string[] = [];
  for (const vip of [VIP4, VIP6]) {
    const answers = await httpDistribution(client.namespace, url(vip, 80), REQUESTS);
    const [nearCount, farCount] = [answers.get("pod12") ?? 0, answers.get("pod21") ?? 0];
    check(
      nearCount + farCount === REQUESTS,
      `${vip}: ${answers.get("none") ?? 0} of ${REQUESTS} requests were not answered`,
    );
    check(nearCount > 0 && farCount > 0, `${vip}: one backend got all requests`);
    details.push(`${vip}:80, ${REQUESTS} requests: pod 12 answered ${nearCount}, pod 21 ${farCount}`);
  }
  const seen = await httpGet(client.namespace, url(VIP4, 80));
  check(seen.client === client.v4, `the backend saw ${seen.client} as the client, not ${client.v4}`);
  const hairpin = await httpDistribution(near.namespace, url(VIP4, 80), REQUESTS);
  check(!hairpin.has("none") && (hairpin.get("pod12") ?? 0) > 0, `a backend did not reach itself through ${VIP4}`);
  details.push(
    `backends see the client's own address; a backend reached itself through the service ${hairpin.get("pod12")} times`,
  );
  return { headline: `${2 * REQUESTS} requests to ${VIP4} and ${VIP6}: all answered, by both backends`, details };
}

/** The pods' traffic between the nodes leaves VXLAN for SRv6: H.Encaps with a segment routing header, End.DT4 and End.DT6. */
export async function checkSrv6(world: DemoWorld): Promise<Seen> {
  const [from, to] = [world.pod(1, 1), world.pod(2, 1)];
  for (const [index, node] of world.nodes.entries()) {
    const peer = 2 - index;
    const routes = [...node.file.routes, sidRoute(peer)];
    node.file = { ...node.file, routes, plugins: [...node.file.plugins, srv6Plugin(node.number, [peer])] };
    await node.dataplane.apply(node.file);
  }
  const routed = await capture(world.cleanup, world.nodes[1].namespace, UPLINK, "ip6[6] = 43");
  const tunnelled = await capture(world.cleanup, world.nodes[1].namespace, UPLINK, "udp port 4789");
  const details: string[] = [];
  for (const address of [to.v4, to.v6]) {
    const result = await ping(from.namespace, address, { count: 20, interval: 0.01 });
    check(result.lost === 0, `ping ${address} lost ${result.lost} of ${result.sent}:\n${result.text}`);
    check((await httpGet(from.namespace, url(address, 8080))).server === "pod21", `no answer from ${address}`);
    details.push(`${address}: 20 of 20 echoes, ${result.averageMs.toFixed(2)} ms; HTTP answered`);
  }
  const packets = (await routed.stop()).length;
  const vxlan = (await tunnelled.stop()).length;
  check(packets >= 80, `only ${packets} packets with a segment routing header crossed the link; 80 were due`);
  check(vxlan === 0, `${vxlan} packets still went through VXLAN`);
  details.push(`${packets} packets with a segment routing header seen on the link, none of VXLAN`);
  const figures = await throughput(world, from, to);
  return { headline: `H.Encaps, End.DT4, End.DT6: no echo lost; Gbit/s IPv4/IPv6: ${figures.join("/")}`, details };
}
