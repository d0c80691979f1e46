import { existsSync, mkdtempSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Cleanup } from "../support/cleanup.js";
import { ownName } from "../support/leftovers.js";
import { Namespace } from "../support/namespace.js";
import { eventually, must } from "../support/process.js";
import { cpuTime, threadOf } from "./cpu-time.js";

const SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema";
const VSWITCHD = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk";
const READY_MS = 30_000;
const WARM_UP_MS = 500;
const MEASURED_MS = 500;
/** Its own words for "without hugepages"; it would add --in-memory, which DPDK refuses then. */
const EAL = "--no-huge --legacy-mem -m 1024 --no-pci --no-telemetry";

/**
 * OVS with DPDK forwarding between two devices: of an IP packet the TTL is counted down and the MAC addresses are replaced, by
 * one flow entry for each direction. Returns ns of its packet thread's CPU time a packet.
 */
export async function ovsForwarding(core: number, parent: string, devices: readonly string[]): Promise<number> {
  const cleanup = new Cleanup();
  try {
    const folder = mkdtempSync(join(parent, "ovs-"));
    const namespace = await Namespace.create(cleanup, ownName("ovs")); // its bridge makes an interface
    const control = join(folder, "vswitchd.ctl");
    const pid = await start(cleanup, namespace, folder, control, core);
    await addBridge(folder, devices);
    await eventually("OVS's packet thread", READY_MS, () => received(control).then((count) => count > 0 || undefined));
    await sleep(WARM_UP_MS);
    const thread = threadOf(pid, "pmd");
    const [packets, spent] = [await received(control), cpuTime(thread)];
    await sleep(MEASURED_MS);
    const [morePackets, moreSpent] = [await received(control), cpuTime(thread)];
    return (moreSpent - spent) / (morePackets - packets);
  } finally {
    await cleanup.close();
  }
}

const database = (folder: string) => `unix:${folder}/db.sock`;
const vsctl = (folder: string, ...args: string[]) =>
  must(["ovs-vsctl", `--db=${database(folder)}`, "--timeout=20", ...args]);

/** Database and switch, as a distribution starts them, with all their files in the folder. Returns the switch's process id. */
async function start(cleanup: Cleanup, namespace: Namespace, folder: string, control: string, core: number) {
  const env = { OVS_RUNDIR: folder, OVS_LOGDIR: folder, OVS_DBDIR: folder };
  const store = join(folder, "conf.db");
  await must(["ovsdb-tool", "create", store, SCHEMA]);
  namespace.start(cleanup, ["ovsdb-server", `--remote=punix:${folder}/db.sock`, `--unixctl=${folder}/db.ctl`, store], {
    env,
    logFile: join(folder, "db.log"),
  });
  await eventually("OVS's database", READY_MS, () => existsSync(join(folder, "db.sock")) || undefined);
  await vsctl(folder, "--no-wait", "init");
  const mask = `0x${(1 << core).toString(16)}`;
  const settings = ["dpdk-init=true", `dpdk-extra=${EAL}`, "dpdk-lcore-mask=0x1", `pmd-cpu-mask=${mask}`];
  await vsctl(folder, "--no-wait", "set", "Open_vSwitch", ".", ...settings.map((each) => `other_config:${each}`));
  const switchd = namespace.start(cleanup, [VSWITCHD, database(folder), `--unixctl=${control}`], {
    env,
    logFile: join(folder, "vswitchd.log"),
  });
  return switchd.pid;
}

async function addBridge(folder: string, devices: readonly string[]): Promise<void> {
  const ports = devices.flatMap((device, index) => [
    ...["--", "add-port", "bench", `p${index}`, "--", "set", "Interface", `p${index}`, "type=dpdk"],
    ...[`ofport_request=${index + 1}`, `options:dpdk-devargs="${device}"`],
  ]);
  await vsctl(folder, "add-br", "bench", "--", "set", "bridge", "bench", "datapath_type=netdev", ...ports);
  const bridge = `unix:${folder}/bench.mgmt`;
  await must(["ovs-ofctl", "del-flows", bridge]);
  for (const [from, to] of [
    [1, 2],
    [2, 1],
  ] as const) {
    const macs = `mod_dl_src:02:00:00:00:0a:0${to - 1},mod_dl_dst:02:00:00:00:0b:0${to - 1}`;
    await must(["ovs-ofctl", "add-flow", bridge, `in_port=${from},ip,actions=dec_ttl,${macs},output:${to}`]);
  }
}

async function received(control: string): Promise<number> {
  const stats = await must(["ovs-appctl", "-t", control, "dpif-netdev/pmd-stats-show"]);
  return [...stats.matchAll(/packets received: (\d+)/g)].reduce((sum, [, count]) => sum + Number(count), 0);
}
