import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import type { PodRecord } from "../../cluster/records.js";
import { familyOf, formatAddress, parsePrefix } from "../../config/addresses.js";
import { SluiceError } from "../../errors.js";
import { faultPoint } from "../../fault.js";
import {
  type Attachment,
  type AttachmentName,
  addressesOf,
  attachmentId,
  type PortMapping,
} from "../../ipam/attachment.js";
import type { Ipam } from "../../ipam/ipam.js";
import { GATEWAYS, hostPrefix, MEMIF_FOLDER, memifSocket, podMac, portName } from "../desired.js";
import { CNI_CODE, CniError } from "./errors.js";
import { interfacesOf } from "./interfaces.js";
import type { AddRequest, AddResponse, AttachmentMessage, CheckRequest, DelRequest, GcRequest } from "./protocol.js";
import type { CallLimits, CniHandlers } from "./server.js";

/** What the CNI's calls need of the agent. */
export interface CniNode {
  readonly ipam: Ipam;
  /** Resolves once the dataplane has what is desired now. @throws SluiceError */
  flush(): Promise<void>;
  /** Attachments that are to have no port: those on their way out, and those that the dataplane refused. */
  readonly without: Map<string, SluiceError | undefined>;
  /** The pod as the API has it, waited for at most this long. */
  pod(namespace: string, name: string, uid: string, waitMs: number): Promise<PodRecord | undefined>;
  podMtu(): number;
  /** Names of the dataplane's ports that are up. @throws SluiceError "not-running" */
  portsUp(): Promise<ReadonlySet<string>>;
  /** Why ADD can't be served now. */
  unready(): string | undefined;
  /** Attachments were added or taken away. */
  changed(): void;
}

/** The API knows a pod before the kubelet does; the way by the reflector and etcd may take a moment longer. */
const POD_WAIT_MS = 2000;

export function cniHandlers(node: CniNode): CniHandlers {
  /** Calls about one attachment are taken one after the other. */
  const queues = new Map<string, Promise<unknown>>();
  const inTurn = <Value>(name: AttachmentName, work: () => Promise<Value>): Promise<Value> => {
    const id = attachmentId(name);
    const done = (queues.get(id) ?? Promise.resolve()).then(work, work);
    queues.set(id, done);
    const forget = () => queues.get(id) === done && queues.delete(id);
    done.then(forget, forget);
    return done;
  };
  return {
    add: async (request, limits) => {
      const name = nameOf(request.attachment);
      return inTurn(name, () => add(node, name, request, limits));
    },
    del: async ({ attachment }: DelRequest) => {
      const name = nameOf(attachment);
      return inTurn(name, () => remove(node, [name]));
    },
    check: async (request) => check(node, request),
    status: async () => {
      const why = node.unready();
      if (why !== undefined) throw new CniError(CNI_CODE.notAvailable, why);
      return {};
    },
    gc: async ({ valid }: GcRequest) => {
      const keep = new Set(valid.map(attachmentId));
      return remove(
        node,
        node.ipam.all().filter((attachment) => !keep.has(attachmentId(attachment))),
      );
    },
  };
}

async function add(node: CniNode, name: AttachmentName, request: AddRequest, limits: CallLimits): Promise<AddResponse> {
  faultPoint("add-asked");
  checkNetns(request.netns);
  const pod = request.pod ?? { namespace: "", name: "", uid: "" };
  const waitMs = Math.min(POD_WAIT_MS, limits.deadline - Date.now());
  const known = pod.name === "" ? undefined : await node.pod(pod.namespace, pod.name, pod.uid, waitMs);
  const interfaces = interfacesOf(known?.annotations ?? {}, name.ifname);
  if (limits.isOver()) throw overdue();
  if (interfaces.some(({ kind }) => kind === "memif")) await mkdir(MEMIF_FOLDER, { recursive: true, mode: 0o755 });
  const portMappings = request.portMappings.map(portMapping);
  const id = attachmentId(name);
  const allocated = node.ipam
    .allocate({ ...name, netns: request.netns, pod, portMappings, interfaces })
    .finally(() => faultPoint("add-recorded"));
  // The dataplane makes the port while the record is written: one that a crash leaves without a record, the next start takes away.
  node.without.delete(id);
  const [recorded, applied] = await Promise.allSettled([allocated, node.flush()]);
  if (recorded.status === "rejected") {
    await flushIfThere(node);
    throw recorded.reason;
  }
  const attachment = recorded.value;
  try {
    if (applied.status === "rejected") throw applied.reason;
    faultPoint("add-applied");
    const refusal = node.without.get(id);
    if (refusal !== undefined) throw refusal;
    if (limits.isOver()) throw overdue();
  } catch (error) {
    // The runtime need not call DEL for an ADD that failed.
    await remove(node, [name]);
    throw error;
  }
  node.changed();
  faultPoint("add-told");
  return answer(attachment, node.podMtu());
}

/** Their ports go first: an address is given out again only when nothing answers for it any more. */
async function remove(node: CniNode, names: readonly AttachmentName[]): Promise<Record<string, never>> {
  const known = names.filter((name) => node.ipam.get(name) !== undefined);
  if (known.length === 0) return {};
  for (const name of known) node.without.set(attachmentId(name), undefined);
  faultPoint("del-asked");
  await flushIfThere(node);
  faultPoint("del-applied");
  for (const name of known) {
    await node.ipam.release(name);
    node.without.delete(attachmentId(name));
  }
  faultPoint("del-released");
  node.changed();
  return {};
}

/** A dataplane that is away is told when it is back, before it is told of anything new. */
async function flushIfThere(node: CniNode): Promise<void> {
  try {
    await node.flush();
  } catch (error) {
    if (!(error instanceof SluiceError)) throw error;
  }
}

async function check(node: CniNode, { attachment, netns, addresses }: CheckRequest): Promise<Record<string, never>> {
  const name = nameOf(attachment);
  const found = node.ipam.get(name);
  const refuse = (message: string) => Promise.reject(new CniError(CNI_CODE.changed, message));
  if (found === undefined)
    return refuse(`${name.ifname} of container ${name.containerId} was never added, or was deleted`);
  if (netns !== "" && netns !== found.netns) return refuse(`it is in namespace ${found.netns}, not in ${netns}`);
  const own = new Set(addressesOf(found));
  const strange = addresses.find((text) => !own.has(canonical(text)));
  if (strange !== undefined) return refuse(`${strange} is none of its addresses: ${[...own].join(", ")}`);
  const up = await node.portsUp();
  const down = found.interfaces.find((each) => !up.has(portName(found, each.name)));
  if (down !== undefined) return refuse(`the dataplane's port of ${down.name} is down or gone`);
  return {};
}

function answer(attachment: Attachment, mtu: number): AddResponse {
  const interfaces = attachment.interfaces.map(({ name, kind, addresses }) => ({
    name,
    // A memif's other end has the address that the pod's program gives it.
    mac: kind === "memif" ? "" : podMac(attachment, name),
    mtu,
    addresses: addresses.map((address) => ({ address: hostPrefix(address), gateway: GATEWAYS[familyOf(address)] })),
    socketPath: kind === "memif" ? memifSocket(portName(attachment, name)) : "",
  }));
  const own = attachment.interfaces[0]?.addresses ?? [];
  const routes = own.map((address) => ({
    destination: familyOf(address) === 4 ? "0.0.0.0/0" : "::/0",
    gateway: GATEWAYS[familyOf(address)],
  }));
  return { interfaces, routes };
}

/** One system call of microseconds: by a thread of its own it takes a hundred times that when the machine is busy. */
function checkNetns(path: string): void {
  if (path !== "" && existsSync(path)) return;
  throw new CniError(
    CNI_CODE.invalidEnvironment,
    `network namespace ${path === "" ? "(none given)" : path} does not exist`,
  );
}

function nameOf(attachment: AttachmentMessage | null): AttachmentName {
  const { containerId = "", ifname = "" } = attachment ?? {};
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(containerId) && /^[^\s/:]{1,15}$/.test(ifname))
    return { containerId, ifname };
  const message = `found container "${containerId}", interface "${ifname}"; allowed: a container id, and an interface name of up to 15 characters`;
  throw new CniError(CNI_CODE.invalidEnvironment, message);
}

function portMapping(mapping: AddRequest["portMappings"][number]): PortMapping {
  const { hostPort, containerPort, protocol, hostIp } = mapping;
  const known = (["tcp", "udp", "sctp"] as const).find((name) => name === protocol.toLowerCase());
  const isPort = (port: number) => port >= 1 && port <= 65535;
  if (known !== undefined && isPort(hostPort) && isPort(containerPort)) {
    return { hostPort, containerPort, protocol: known, hostIp };
  }
  const message = `port mapping ${hostPort} to ${containerPort}/${protocol}; allowed: ports 1 to 65535 of tcp, udp or sctp`;
  throw new CniError(CNI_CODE.invalidConfiguration, message);
}

function overdue(): CniError {
  return new CniError(CNI_CODE.tryAgainLater, "the call's deadline has passed");
}

/** Of an address, with or without a prefix length. */
function canonical(text: string): string {
  const prefix = parsePrefix(text.includes("/") ? text : hostPrefix(text));
  return prefix === undefined ? text : formatAddress(prefix);
}
