import { z } from "zod";

export const INTERFACE_KINDS = ["tap", "veth", "memif"] as const;

const podInterface = z.object({
  /** In the pod. */
  name: z.string(),
  kind: z.enum(INTERFACE_KINDS),
  /** Without prefix lengths, at most one of each family. */
  addresses: z.array(z.string()),
});

/** What an ADD gave to a container, and DEL must undo. */
export const attachmentSchema = z.object({
  containerId: z.string(),
  /** The first one's; CNI tells attachments apart by it. */
  ifname: z.string(),
  /** Path of the container's network namespace. */
  netns: z.string(),
  pod: z.object({ namespace: z.string(), name: z.string(), uid: z.string() }),
  interfaces: z.array(podInterface).min(1),
  portMappings: z.array(
    z.object({
      hostPort: z.int(),
      containerPort: z.int(),
      protocol: z.enum(["tcp", "udp", "sctp"]),
      hostIp: z.string(),
    }),
  ),
});
export type Attachment = z.output<typeof attachmentSchema>;
export type PodInterface = Attachment["interfaces"][number];
export type InterfaceKind = PodInterface["kind"];
export type PortMapping = Attachment["portMappings"][number];

/** One interface of one container, as CNI names it. */
export interface AttachmentName {
  readonly containerId: string;
  readonly ifname: string;
}

export const attachmentId = ({ containerId, ifname }: AttachmentName): string => `${containerId}/${ifname}`;

export function addressesOf({ interfaces }: Attachment): string[] {
  return interfaces.flatMap(({ addresses }) => addresses);
}
