import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { promisify } from "node:util";
import { z } from "zod";
import type { NodeRecord } from "../cluster/records.js";
import { formatAddress, isLinkLocal, ofFamily, parseAddress, parsePrefix } from "../config/addresses.js";
import { messageOf, SluiceError } from "../errors.js";
import type { NodeConfigSpec } from "../resources/node-config.js";

/** The interface by which the node reaches others, and what the network there knows the node by. */
export interface Uplink {
  readonly device: string;
  /** With the prefix lengths of the link. */
  readonly addresses: readonly string[];
  /** Of the default routes, at most one of each family. */
  readonly gateways: readonly string[];
  readonly mtu: number;
}

const linksSchema = z.array(
  z.object({
    ifname: z.string().optional(),
    mtu: z.int().optional(),
    addr_info: z.array(z.object({ local: z.string().optional(), prefixlen: z.int().optional() })).default([]),
  }),
);
const routesSchema = z.array(z.object({ dst: z.string(), gateway: z.string().optional(), dev: z.string().optional() }));

/** Annotations of a Node whose uplink is the dataplane's own, so that the kernel has no addresses on it. */
export const UPLINK_ADDRESSES = "sluice.dev/uplink-addresses";
export const UPLINK_GATEWAYS = "sluice.dev/uplink-gateways";

const run = promisify(execFile);

/**
 * The node's uplink, as the kernel has it or as the Node's annotations say.
 * @param known the interface that was found before: while it is taken a TAP of its name stands for it
 * @throws SluiceError "no-uplink"
 */
export async function findUplink(
  node: NodeRecord,
  { device, take }: NodeConfigSpec["uplink"],
  known?: string,
): Promise<Uplink> {
  const links = linksSchema.parse(await ip("addr", "show"));
  const named = device === undefined ? undefined : links.find(({ ifname }) => ifname === device);
  const given = listOf(node.annotations[UPLINK_ADDRESSES]);
  if (!take && given.length > 0 && named?.ifname !== undefined) {
    const gateways = listOf(node.annotations[UPLINK_GATEWAYS]);
    return checked({ device: named.ifname, addresses: given, gateways, mtu: named.mtu ?? 1500 });
  }
  const found =
    named ??
    links.find(
      (link) => (link.ifname === known || !isTap(link.ifname)) && addressesOf(link).some((text) => isOf(text, node)),
    ) ??
    // A node that gets another address tells the API of it over that interface.
    links.find((link) => link.ifname === known && isTap(known) && addressesOf(link).length > 0);
  if (found?.ifname === undefined) throw noUplink(device, node);
  const routes = [
    ...routesSchema.parse(await ip("-4", "route", "show", "default")),
    ...routesSchema.parse(await ip("-6", "route", "show", "default")),
  ];
  const gateways = routes.flatMap(({ dev, gateway }) =>
    dev === found.ifname && gateway !== undefined ? [gateway] : [],
  );
  return {
    device: found.ifname,
    addresses: addressesOf(found),
    gateways: firstOfEachFamily(gateways),
    mtu: found.mtu ?? 1500,
  };
}

function noUplink(device: string | undefined, node: NodeRecord): SluiceError {
  if (device !== undefined) {
    return SluiceError.of("no-uplink", "/spec/uplink/device", `the node has no interface ${device}`);
  }
  const wanted = node.addresses.join(", ") || "no InternalIP";
  return SluiceError.of(
    "no-uplink",
    "/spec/uplink/device",
    `no interface has an address of the Node (${wanted}); name the interface`,
  );
}

function checked(uplink: Uplink): Uplink {
  const bad = uplink.addresses.find((text) => parsePrefix(text) === undefined);
  const badGateway = uplink.gateways.find((text) => parseAddress(text) === undefined);
  if (bad === undefined && badGateway === undefined) return uplink;
  const [key, found] = bad === undefined ? [UPLINK_GATEWAYS, badGateway] : [UPLINK_ADDRESSES, bad];
  const allowed = bad === undefined ? "addresses" : "addresses with their prefix lengths";
  throw SluiceError.of(
    "no-uplink",
    `/metadata/annotations/${key}`,
    `found ${found}; allowed: ${allowed}, with commas between`,
  );
}

function addressesOf({ addr_info }: z.output<typeof linksSchema>[number]): string[] {
  return addr_info.flatMap(({ local, prefixlen }) => {
    const address = local === undefined ? undefined : parseAddress(local);
    return address === undefined || isLinkLocal(address) ? [] : [`${formatAddress(address)}/${prefixlen}`];
  });
}

function isOf(prefix: string, { addresses }: NodeRecord): boolean {
  const own = parsePrefix(prefix);
  return own !== undefined && addresses.some((text) => sameAs(text, formatAddress(own)));
}

function sameAs(text: string, canonical: string): boolean {
  const address = parseAddress(text);
  return address !== undefined && formatAddress(address) === canonical;
}

/** The host stack's own port has the node's addresses too. */
function isTap(device: string | undefined): boolean {
  return device !== undefined && existsSync(`/sys/class/net/${device}/tun_flags`);
}

function firstOfEachFamily(addresses: readonly string[]): string[] {
  return [ofFamily(addresses, 4), ofFamily(addresses, 6)].filter((address) => address !== undefined);
}

function listOf(text: string | undefined): string[] {
  return (text ?? "")
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

async function ip(...args: string[]): Promise<unknown> {
  try {
    const { stdout } = await run("ip", ["-j", ...args]);
    return JSON.parse(stdout || "[]") as unknown;
  } catch (error) {
    throw SluiceError.of("no-uplink", "", `ip ${args.join(" ")} failed: ${messageOf(error)}`, { cause: error });
  }
}
