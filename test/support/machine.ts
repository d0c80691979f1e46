import { existsSync, readdirSync, readFileSync } from "node:fs";
import { cgroupParents } from "./cgroups.js";
import { namespaces } from "./namespace.js";
import { must } from "./process.js";

const SOCKET_FOLDERS = ["/run/sluice", "/var/run/dpdk", "/tmp", "/dev/shm"];

/** What a run must leave as it found it, as sets of lines by kind. */
export type MachineState = Record<string, string[]>;

function entries(folder: string, matches: RegExp): string[] {
  return existsSync(folder) ? readdirSync(folder).filter((name) => matches.test(name)) : [];
}

/** Namespaces, links, addresses, routes, hugepages, mounts, cgroups and run-time files of this machine. */
export async function machineState(): Promise<MachineState> {
  const lines = async (...argv: string[]) => (await must(argv)).split("\n").filter(Boolean);
  const state: MachineState = {
    namespaces: namespaces(),
    links: (await lines("ip", "-o", "link", "show")).map((line) => line.replace(/^\d+: ([^:@]+).*$/, "$1")).sort(),
    addresses: (await lines("ip", "-o", "addr", "show"))
      .map((line) => line.replace(/\s+valid_lft.*$/, "").replace(/^\d+: /, ""))
      .sort(),
    routes: [...(await lines("ip", "-4", "route")), ...(await lines("ip", "-6", "route"))]
      .map((line) => line.replace(/ expires \d+sec/, ""))
      .sort(),
    hugepages: readFileSync("/proc/meminfo", "utf8")
      .split("\n")
      .filter((line) => /^HugePages_(Total|Free)|^Hugetlb/.test(line)),
    mounts: readFileSync("/proc/mounts", "utf8")
      .split("\n")
      .filter((line) => / (hugetlbfs|nsfs|tmpfs) /.test(line))
      .sort(),
    cgroups: cgroupParents().flatMap((parent) => entries(parent, /sluice|^slt-/).map((name) => `${parent}/${name}`)),
    files: SOCKET_FOLDERS.flatMap((folder) =>
      entries(folder, /sluice|^slt-|^rte|dpdk/).map((name) => `${folder}/${name}`),
    ).sort(),
  };
  return Object.fromEntries(Object.entries(state).map(([kind, found]) => [kind, found.filter(isNotAnothers)]));
}

/** Other test runs on this machine come and go. */
function isNotAnothers(line: string): boolean {
  const owner = /slt-(\d+)-/.exec(line)?.[1];
  return owner === undefined || Number(owner) === process.pid;
}

/** One line for each difference; empty when the machine is as it was. */
export function machineDifferences(before: MachineState, after: MachineState): string[] {
  return Object.keys(before).flatMap((kind) => {
    const was = new Set(before[kind]);
    const is = new Set(after[kind]);
    return [
      ...[...is].filter((line) => !was.has(line)).map((line) => `${kind}: left behind: ${line}`),
      ...[...was].filter((line) => !is.has(line)).map((line) => `${kind}: gone: ${line}`),
    ];
  });
}
