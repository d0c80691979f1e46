import { afterEach, expect, test } from "vitest";
import { Cleanup } from "../support/cleanup.js";
import { root } from "../support/dataplane.js";
import { machineDifferences, machineState } from "../support/machine.js";
import { Background, CommandError, eventually } from "../support/process.js";
import { twoNodes } from "../support/topology.js";
import { ping } from "../support/traffic.js";

let cleanup = new Cleanup();

afterEach(async () => {
  await cleanup.close();
  cleanup = new Cleanup();
});

// A killed node's TAPs stay in the pods' namespaces, so that the pods keep their addresses until it is back.
test.each([
  ["that ends as asked", "SIGTERM"],
  ["that is interrupted", "SIGINT"],
  ["that is killed", "SIGKILL"],
] as const)(
  "a node %s leaves the machine as it was, and the pods with their interfaces only when it was killed",
  async (_, signal) => {
    const before = await machineState();
    const [one, two] = await twoNodes(cleanup);
    const pod = one.pods[0];
    expect(pod && (await ping(pod.namespace, two.pods[0]?.v4 ?? ""))).toMatchObject({ lost: 0 });
    for (const node of [one, two]) await node.dataplane.stop(signal);
    for (const { namespace } of one.pods) {
      const links = await namespace.ip("-o", "link");
      expect(links.includes("eth0")).toBe(signal === "SIGKILL");
    }
    await cleanup.close();
    expect(machineDifferences(before, await machineState())).toEqual([]);
  },
);

test("a demo that is interrupted takes everything down and ends with 130", async () => {
  const before = await machineState();
  const demo = new Background([process.execPath, `${root}/deploy/demo.mjs`]);
  cleanup.defer("demo", async () => {
    await demo.stop("SIGINT");
  });
  await eventually("the demo's third step", 50_000, async () => {
    if (!demo.running) throw new CommandError(["the demo"], await demo.ended);
    return demo.stdout.includes("[ 3/") ? true : undefined;
  });
  process.kill(demo.pid, "SIGINT");
  expect((await demo.finish(20_000)).status).toBe(130);
  expect(machineDifferences(before, await machineState())).toEqual([]);
});
