import { describe, expect, test } from "vitest";
import { BLOCKS_PREFIX, NODE_IDS_PREFIX, nodeReportKey } from "../../../host/src/cluster/keys.js";
import type { NodeReportRecord } from "../../../host/src/cluster/records.js";
import { eventually } from "../../support/process.js";
import {
  api,
  event,
  make,
  node,
  pool,
  records,
  reflect,
  remove,
  SLUICE,
  says,
  store,
  synced,
  WAIT_MS,
} from "./world.js";

/** What users see of it. */
export function statuses(): void {
  describe("what users see", () => {
    test("a full pool: conditions and events, until another pool has room", async () => {
      await make(pool("tiny", { cidr: "10.9.0.0/30", blockSize: 31 }));
      await make(node("b", 2));
      await make(node("c", 3));
      const reflector = reflect("one");
      await synced(reflector);
      const message = await says(`${SLUICE}/ippools/tiny`, "Ready", { status: "False", reason: "Full" });
      expect(message).toContain("no block is left for");
      expect(await event("IPPool", "tiny", "Full")).toContain("make another IPPool");
      expect(await event("Node", "c", "NoAddresses")).toContain("IPPool tiny");
      await says(`${SLUICE}/ippools/v4`, "Ready", { status: "True", reason: "BlocksLeft" });
      // Those of nodes that are gone are taken back after a while.
      await eventually("the blocks of three nodes", WAIT_MS, async () => {
        const { status } = await api.must<{ status: { blocks: number; capacity: string } }>(
          "GET",
          `${SLUICE}/ippools/v4`,
        );
        return status.blocks === 3 && status.capacity === "1024" ? true : undefined;
      });
      await remove("/api/v1/nodes/c");
      await eventually("its id's release", WAIT_MS, async () =>
        (await records(NODE_IDS_PREFIX)).has("c") ? undefined : true,
      );
      await says(`${SLUICE}/ippools/tiny`, "Ready", { status: "False", reason: "Full" });
      expect([...(await records(BLOCKS_PREFIX)).values()].filter((block) => block.node === "c")).toEqual([]);
      await remove(`${SLUICE}/ippools/tiny`);
    });

    test("pools that overlap: the newer one is refused", async () => {
      await synced(reflect("one"));
      await make(pool("inside", { cidr: "10.1.7.0/24" }));
      const message = await says(`${SLUICE}/ippools/inside`, "Accepted", { status: "False", reason: "Overlaps" });
      expect(message).toContain("overlaps 10.1.0.0/16 of the older IPPool v4");
      await remove(`${SLUICE}/ippools/inside`);
    });

    test("agents' reports make the NodeConfig's conditions and the node's events", async () => {
      await synced(reflect("one"));
      const { metadata } = await api.must<{ metadata: { generation: number } }>("GET", `${SLUICE}/nodeconfigs/general`);
      const report = (name: string, status: "True" | "False"): NodeReportRecord => ({
        node: name,
        version: "0.1.0",
        nodeConfig: { name: "general", generation: metadata.generation },
        conditions: ["Programmed", "Ready"].map((type) =>
          status === "True"
            ? { type, status, reason: "Running", message: "" }
            : { type, status, reason: "NoDevice", message: "/spec/uplink/device: there is no eth9" },
        ),
      });
      await store.put(nodeReportKey("a"), JSON.stringify(report("a", "True")));
      await store.put(nodeReportKey("b"), JSON.stringify(report("b", "False")));
      const message = await says(`${SLUICE}/nodeconfigs/general`, "Ready", { status: "False", reason: "NoDevice" });
      expect(message).toBe("b: /spec/uplink/device: there is no eth9");
      expect(await event("Node", "b", "NoDevice")).toContain("there is no eth9");
      await store.put(nodeReportKey("b"), JSON.stringify(report("b", "True")));
      await says(`${SLUICE}/nodeconfigs/general`, "Ready", { status: "True", reason: "AllNodes" });
    });
  });
}
