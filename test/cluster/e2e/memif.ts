import { expect, test } from "vitest";
import { eventually } from "../../support/process.js";
import type { KubernetesObject } from "../kubectl.js";
import { IMAGES } from "../programs.js";
import type { World } from "./world.js";

const READY_MS = 60_000;
const ANSWERS_MS = 20_000;
const NODE = "node1";
const SOCKETS = "/run/sluice/memif";

/** A pod whose interface is a memif, with DPDK's testpmd at its end and its kernel's networking behind that. */
export function memif(world: () => World): void {
  test("a pod with a memif by its annotation and pods of its node and of another one reach each other", async () => {
    const { cluster, pods } = world();
    await cluster.node(NODE).importImage(`${IMAGES}/memif-peer.tar`);
    try {
      await cluster.kubectl.apply(PEER);
      const addresses = await eventually("the pod's addresses", READY_MS, async () => {
        const found = await cluster.kubectl.must("get", "pod", "memif-peer", "-o", "jsonpath={.status.podIPs[*].ip}");
        return found ? found.split(" ") : undefined;
      });
      expect(addresses.map((address) => address.includes(":"))).toEqual([false, true]);
      for (const other of [pods.one, pods.far]) {
        for (const address of addresses)
          await eventually(`${other.name} reaches ${address}`, ANSWERS_MS, async () =>
            (await other.ping(address)) === 3 ? true : undefined,
          );
        for (const address of [other.v4, other.v6])
          expect(
            await cluster.kubectl.exec("memif-peer", "/bin/ping", "-c", "3", "-i", "0.05", "-W", "2", address),
          ).toMatchObject({ status: 0, stdout: expect.stringContaining(" 0% packet loss") });
      }
      const port = (await world().sluice.nodes.get(NODE)?.json<Status>("status"))?.native.ports.find(({ name }) =>
        name.startsWith("memif-peer."),
      );
      expect(port).toMatchObject({ kind: "memif", up: true });
    } finally {
      await cluster.kubectl.delete(PEER);
    }
  }, 120_000);
}

interface Status {
  native: { ports: { name: string; kind: string; up: boolean }[] };
}

const PEER: KubernetesObject = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "memif-peer", namespace: "default", annotations: { "sluice.dev/interface": "memif" } },
  spec: {
    nodeName: NODE,
    terminationGracePeriodSeconds: 0,
    containers: [
      {
        name: "peer",
        image: "sluice.test/memif-peer:1",
        imagePullPolicy: "Never",
        args: [SOCKETS],
        env: [{ name: "POD_IPS", valueFrom: { fieldRef: { fieldPath: "status.podIPs" } } }],
        securityContext: { privileged: true }, // for an interface of its own
        volumeMounts: [{ name: "sockets", mountPath: SOCKETS }],
      },
    ],
    volumes: [{ name: "sockets", hostPath: { path: SOCKETS, type: "DirectoryOrCreate" } }],
  },
};
