import { z } from "zod";
import { flag, integer, interfaceName, list, nonEmpty, oneOf } from "../config/values.js";
import { celRule } from "./cel.js";

const uplink = z
  .object({
    device: interfaceName
      .optional()
      .meta({ pattern: "^[^\\s/:]{1,15}$" })
      .describe("The kernel's name of the interface; absent: the one with the node's address."),
    driver: oneOf(["af-packet", "af-xdp", "dpdk"]).default("af-packet").describe("How the dataplane drives it."),
    devargs: nonEmpty.optional().describe("DPDK's device arguments, of driver dpdk, such as 0000:00:05.0."),
    take: flag
      .default(true)
      .describe(
        "The dataplane takes the interface; its name, addresses and routes move to a TAP of the node's own until it is given back. With driver dpdk there is none to take: the device is no interface of the kernel's.",
      ),
  })
  .superRefine(({ driver, devargs }, context) => {
    if ((driver === "dpdk") === (devargs !== undefined)) return;
    context.addIssue({
      code: "custom",
      path: ["devargs"],
      message: "device arguments with driver dpdk, and only with it",
    });
  })
  .meta(
    celRule(
      "(has(self.driver) && self.driver == 'dpdk') == has(self.devargs)",
      "device arguments with driver dpdk, and only with it",
      ".devargs",
    ),
  );

/** How nodes run their dataplane. Of several that select a node the highest priority holds, then the first by name. */
export const nodeConfigSpec = z
  .object({
    nodeSelector: z
      .record(z.string(), z.string(), { error: "a mapping of labels" })
      .default({})
      .describe("Labels of the nodes meant; all nodes where empty."),
    priority: integer(-1000, 1000).default(0).describe("Of several objects that select a node, the highest holds."),
    uplink: uplink.prefault({}).describe("The interface that leads to other nodes."),
    workers: integer(1, 64).default(1).describe("Packet threads, one CPU each."),
    workerCores: list(integer(0, 1023), "CPU numbers")
      .max(64, { error: "a list of at most 64 CPU numbers" })
      .optional()
      .meta({ "x-kubernetes-list-type": "set" })
      .describe("Their CPUs, as many as workers."),
    busyPoll: flag.default(false).describe("Polls without pause: lower latency at the price of the CPUs."),
    memory: z
      .object({
        size: integer(64, 1 << 20, "MiB")
          .default(256)
          .describe("MiB for buffers and tables."),
        hugepages: oneOf(["auto", "never", "require"])
          .default("auto")
          .describe("Hugepages where there are some, none, or no start without them."),
      })
      .prefault({})
      .describe("What the dataplane reserves."),
    mtu: integer(1280, 9600, "bytes")
      .optional()
      .describe("Of pods' interfaces; absent: what the uplink and the transport leave."),
    transport: oneOf(["vxlan", "routed"])
      .default("vxlan")
      .describe("How packets reach other nodes: in VXLAN, or as they are on a flat network."),
    vni: integer(1, 0xffffff).default(4096).describe("VXLAN network identifier."),
    masquerade: flag.default(true).describe("Pods' connections to the outside get the node's address."),
    maxFlows: integer(1024, 1 << 24)
      .default(262144)
      .describe("Room of the flow table."),
  })
  .superRefine(({ workers, workerCores }, context) => {
    if (workerCores === undefined) return;
    const path = ["workerCores"];
    if (workerCores.length !== workers) {
      context.addIssue({ code: "custom", path, message: `as many CPUs as workers, ${workers}` });
    }
    if (new Set(workerCores).size !== workerCores.length) {
      context.addIssue({ code: "custom", path, message: "each CPU once" });
    }
  })
  .meta(
    celRule(
      "!has(self.workerCores) || size(self.workerCores) == self.workers",
      "as many CPUs as workers",
      ".workerCores",
    ),
  );

export type NodeConfigSpec = z.output<typeof nodeConfigSpec>;
