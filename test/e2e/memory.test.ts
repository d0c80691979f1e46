import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Cleanup } from "../support/cleanup.js";
import { machineDifferences, machineState } from "../support/machine.js";
import type { NodeFile } from "../support/node-file.js";
import { type Node, type Pod, prepareNode, temporaryFolder } from "../support/topology.js";
import { ping } from "../support/traffic.js";

// Memory that a node wants and the machine does not have. What runs out later is in endurance.test.ts (buffers),
// faults.test.ts (flows) and hostile-stages.test.ts (a stage's memory).
const cleanup = new Cleanup();
/** Bytes; that the kernel refuses more than the machine has depends on its vm.overcommit_memory. */
const ADDRESS_SPACE = 2 ** 39;
let node: Node;

beforeAll(async () => {
  node = await prepareNode(cleanup, { folder: temporaryFolder(cleanup), number: 1, pods: 2, peers: [] });
  node.file.ports = node.file.ports.filter((port) => port.kind === "tap");
});
afterAll(() => cleanup.close());

const withMemory = (memory: NonNullable<NodeFile["memory"]>): NodeFile => ({ ...structuredClone(node.file), memory });

function freeHugepages(): number {
  return Number(readFileSync("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "utf8"));
}

describe("a start is refused with what to do, and leaves nothing, where there is", () => {
  const rows: { what: string; file: () => NodeFile; error: RegExp }[] = [
    {
      what: "no room in hugepages, which are required",
      file: () => withMemory({ size: 1 << 20, hugepages: "require" }),
      error: /no-hugepages.*1048576 MiB.*nr_hugepages.*hugepages: auto/,
    },
    {
      what: "less memory than it wants",
      file: () => withMemory({ size: 1 << 20, hugepages: "never" }),
      error: /eal-failed.*1048576 MiB.*lower memory\.size/,
    },
    {
      what: "no room for its packet buffers",
      file: () => withMemory({ size: 64, hugepages: "never", buffers: 1 << 20 }),
      error: /out-of-memory.*packet buffers.*fewer buffers/,
    },
  ];

  test.each(rows)("$what", async ({ file, error }) => {
    const machine = await machineState();
    const links = await node.namespace.ip("-o", "link");
    node.dataplane.write(file());
    const { file: path, socket } = node.dataplane;
    const command = node.dataplane.command(["run", "-f", path, "--socket", socket]);
    const output = await node.namespace.run(["prlimit", `--as=${ADDRESS_SPACE}`, ...command], { timeoutMs: 60_000 });
    expect(output).toMatchObject({ status: 1, stdout: "" });
    expect(output.stderr.trim().split("\n").at(-1)).toMatch(error);
    expect(await node.namespace.ip("-o", "link")).toBe(links);
    expect(machineDifferences(machine, await machineState())).toEqual([]);
  });
});

test("without hugepages a node starts all the same, says so, and works", async () => {
  const size = 128;
  const huge = freeHugepages() * 2 >= size;
  await node.dataplane.start(withMemory({ size, hugepages: "auto", buffers: 4096, jumbos: 64 }));
  const [client, server] = node.pods as [Pod, Pod];
  expect(await ping(client.namespace, server.v4)).toMatchObject({ lost: 0 });
  expect((await node.dataplane.status()).native.hugepages).toBe(huge);
  expect(node.dataplane.log()).toMatch(
    huge ? /using 128 MiB of hugepages/ : /using 128 MiB of ordinary memory \(\d+ MiB of hugepages are free\)/,
  );
  await node.dataplane.stop();
});
