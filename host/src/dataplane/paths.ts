import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { SluiceError, systemCode } from "../errors.js";

const SOCKET_FOLDER = "/run/sluice";

export function defaultSocket(name: string): string {
  return join(SOCKET_FOLDER, `${name}.sock`);
}

export function defaultStateDir(name: string): string {
  return join("/var/lib/sluice", name);
}

export const DEFAULT_CACHE_DIR = "/var/cache/sluice";

/** The agent's, beside the dataplane's. */
const CNI_SOCKET = "cni.sock";

/** Where `ip netns` keeps its names. */
const NETNS_FOLDER = "/run/netns";

/** A plain name is one of `ip netns`. */
export function netnsPath(netns: string): string {
  return netns.includes("/") ? netns : join(NETNS_FOLDER, netns);
}

/** Names of the dataplanes that have, or had, a socket on this machine. */
export async function localNames(): Promise<string[]> {
  return (await listFolder())
    .filter((file) => file.endsWith(".sock") && file !== CNI_SOCKET)
    .map((file) => file.slice(0, -".sock".length));
}

/** The socket meant when none is named: the only one there is. @throws SluiceError */
export async function onlySocket(): Promise<string> {
  const names = await localNames();
  const [only] = names;
  if (only === undefined) {
    throw SluiceError.of(
      "not-running",
      SOCKET_FOLDER,
      "no dataplane runs here; start one with sluice run -f node.yaml, or name its --socket, or a cluster's --kubeconfig",
    );
  }
  if (names.length > 1) {
    throw SluiceError.of(
      "ambiguous-node",
      SOCKET_FOLDER,
      `several dataplanes run here; choose one with --name: ${names.join(", ")}`,
    );
  }
  return defaultSocket(only);
}

async function listFolder(): Promise<string[]> {
  try {
    return await readdir(SOCKET_FOLDER);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return [];
    throw SluiceError.of("socket-unusable", SOCKET_FOLDER, String(error), { cause: error });
  }
}
