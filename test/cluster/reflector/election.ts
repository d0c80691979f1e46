import { describe, expect, test } from "vitest";
import { BLOCKS_PREFIX } from "../../../host/src/cluster/keys.js";
import { root } from "../../support/dataplane.js";
import { Background, eventually, run } from "../../support/process.js";
import { api, etcd, has, make, pod, records, reflect, WAIT_MS } from "./world.js";

/** Several reflectors, and one that is started wrongly. */
export function election(): void {
  describe("of two reflectors", () => {
    test("one writes; the other takes over when the first is killed, and no block changes hands", async () => {
      const first = startReflector("-o", "json");
      try {
        const port = await eventually("its port", WAIT_MS, () => /"port":(\d+)/.exec(first.stdout)?.[1]);
        const ready = async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).ok;
        await eventually("the first one's Lease", WAIT_MS, async () => {
          const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
          return /^sluice_reflector_synced 1$/m.test(text) && (await ready()) ? true : undefined;
        });
        const second = reflect("second");
        const blocks = await records(BLOCKS_PREFIX);
        await make(pod("with-the-first"));
        await has("pods/shop/with-the-first", { phase: "Running" });
        expect(second.session).toBeUndefined();
        expect(second.unready()).toEqual([]);
        await first.stop("SIGKILL");
        const killed = performance.now();
        await make(pod("with-the-second"));
        await has("pods/shop/with-the-second", { phase: "Running" });
        expect(performance.now() - killed).toBeLessThan(20_000);
        expect(await records(BLOCKS_PREFIX)).toEqual(blocks);
      } finally {
        await first.stop("SIGKILL");
      }
    });

    test("one that was killed takes its own Lease up again as what it was: it does not wait until that runs out", async () => {
      const start = () => startReflector("--identity", "the-same");
      const held = () =>
        eventually("its Lease", WAIT_MS, async () => {
          const { spec, metadata } = await readLease();
          return spec.holderIdentity === "the-same" ? { ...spec, version: metadata.resourceVersion } : undefined;
        });
      const first = start();
      await held().finally(() => first.stop("SIGKILL"));
      const before = await held();
      const second = start();
      try {
        const after = await eventually("its renewal", WAIT_MS, async () => {
          const now = await held();
          return now.version === before.version ? undefined : now;
        });
        expect(after.acquireTime).toBe(before.acquireTime);
        expect(after.leaseTransitions).toBe(before.leaseTransitions);
      } finally {
        await second.stop("SIGTERM");
      }
    });

    test("one that ends in an orderly way gives the Lease back, and says no more than what was asked", async () => {
      const one = startReflector();
      await eventually("its Lease", WAIT_MS, async () =>
        (await readLease()).spec.holderIdentity.includes("_") ? true : undefined,
      );
      const { status, stdout } = await one.stop("SIGTERM");
      expect(status).toBe(0);
      expect(stdout).toMatch(/^started: \/healthz, \/readyz and \/metrics on port \d+\n$/);
      expect((await readLease()).spec.holderIdentity).toBe("");
    });

    const WRONG: [string, string[], string][] = [
      [
        "no kubeconfig",
        ["--etcd", "http://127.0.0.1:1", "--kubeconfig", "/none"],
        "error: kubeconfig /none: no such file or directory",
      ],
      [
        "no URL of etcd",
        ["--etcd", "nowhere", "--kubeconfig", "KUBECONFIG"],
        "error: etcd-endpoint nowhere: expected a URL with its port",
      ],
      [
        "a port that is taken",
        ["--etcd", "http://127.0.0.1:1", "--kubeconfig", "KUBECONFIG", "--listen", "127.0.0.1:99999"],
        "error: listen-address",
      ],
    ];
    test.each(WRONG)("one that is started wrongly says so and ends: %s", async (_, argv, message) => {
      const args = argv.map((arg) => (arg === "KUBECONFIG" ? api.kubeconfig("reflector") : arg));
      const { status, stderr } = await run([`${root}/host/bin/sluice.js`, "reflector", ...args]);
      expect(status).toBe(1);
      expect(stderr).toContain(message);
    });
  });
}

interface Lease {
  metadata: { resourceVersion: string };
  spec: { holderIdentity: string; acquireTime: string; leaseTransitions: number };
}

const readLease = () =>
  api.must<Lease>("GET", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/sluice-reflector");

/** As a process of its own. */
function startReflector(...more: string[]): Background {
  const where = ["--etcd", etcd.endpoint, "--kubeconfig", api.kubeconfig("reflector"), "--listen", "127.0.0.1:0"];
  return new Background([`${root}/host/bin/sluice.js`, "reflector", ...where, ...more]);
}
