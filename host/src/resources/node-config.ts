import { z } from "zod";
import { integer, interfaceName, oneOf } from "../config/values.js";

const uplink = z.object({
  device: interfaceName
    .optional()
    .describe("The kernel's name of the interface; absent: the one with the node's address."),
  driver: oneOf(["af-packet", "af-xdp", "dpdk"]).default("af-packet").describe("How the dataplane drives it."),
  devargs: z.string().optional().describe("DPDK's device arguments, of driver dpdk, such as 0000:00:05.0."),
  take: z
    .boolean()
    .default(true)
    .describe(
      "The dataplane takes the interface; its name, addresses and routes move to a TAP of the node's own until it is given back.",
    ),
});

/** How nodes run their dataplane. Of several that select a node the highest priority holds, then the first by name. */
export const nodeConfigSpec = z.object({
  nodeSelector: z
    .record(z.string(), z.string())
    .default({})
    .describe("Labels of the nodes meant; all nodes where empty."),
  priority: integer(-1000, 1000).default(0).describe("Of several objects that select a node, the highest holds."),
  uplink: uplink.prefault({}),
  workers: integer(1, 64).default(1).describe("Packet threads, one CPU each."),
  workerCores: z.array(integer(0, 1023)).optional().describe("Their CPUs."),
  busyPoll: z.boolean().default(false).describe("Polls without pause: lower latency at the price of the CPUs."),
  memory: z
    .object({
      size: integer(64, 1 << 20, "MiB")
        .default(256)
        .describe("MiB for buffers and tables."),
      hugepages: oneOf(["auto", "never", "require"]).default("auto"),
    })
    .prefault({}),
  mtu: integer(1280, 9600, "bytes")
    .optional()
    .describe("Of pods' interfaces; absent: what the uplink and the transport leave."),
  transport: oneOf(["vxlan", "routed"])
    .default("vxlan")
    .describe("How packets reach other nodes: in VXLAN, or as they are on a flat network."),
  vni: integer(1, 0xffffff).default(4096).describe("VXLAN network identifier."),
  masquerade: z.boolean().default(true).describe("Pods' connections to the outside get the node's address."),
  maxFlows: integer(1024, 1 << 24)
    .default(262144)
    .describe("Room of the flow table."),
});

export type NodeConfigSpec = z.output<typeof nodeConfigSpec>;
