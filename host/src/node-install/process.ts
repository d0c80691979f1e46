import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { pino } from "pino";
import { KubeApi, type NamespacedName } from "../kube/api.js";
import { readBytes, readText } from "../readable-file.js";
import { signalled } from "../signals.js";
import { checkConflist } from "./cni-status.js";
import { OwnDaemonSet } from "./daemon-set.js";
import { clear, Installer } from "./installer.js";

export interface NodeInstallOptions {
  /** Absent: nothing is removed at the end. */
  readonly daemonset?: NamespacedName;
  /** Folders of the host, as this process sees them. */
  readonly cniBin: string;
  readonly cniConf: string;
  /** Absent: Sluice's own. */
  readonly conflist?: string;
  /** What else an uninstall removes. */
  readonly remove: readonly string[];
  readonly kubeconfig?: string;
  readonly logLevel: string;
  readonly onInstalled: () => void;
}

const PROGRAM = fileURLToPath(new URL("../../../build/native/sluice-cni", import.meta.url));
const CONFLIST = fileURLToPath(new URL("../../../deploy/cni/10-sluice.conflist", import.meta.url));

/**
 * Keeps the CNI on the node until SIGINT or SIGTERM, and takes it away when the DaemonSet is gone then.
 * @throws SluiceError when it can't start
 */
export async function runNodeInstall(options: NodeInstallOptions): Promise<void> {
  const log = pino({ level: options.logLevel }, pino.destination({ fd: 2, sync: true }));
  const { daemonset, cniBin, cniConf } = options;
  const source = options.conflist ?? CONFLIST;
  const conflist = await readText(source);
  checkConflist(conflist, source);
  const installer = new Installer({
    program: await readBytes(PROGRAM),
    conflist,
    programPath: join(cniBin, basename(PROGRAM)),
    conflistPath: join(cniConf, basename(source)),
    log,
  });
  const own = daemonset === undefined ? undefined : new OwnDaemonSet(KubeApi.load(options.kubeconfig), daemonset, log);
  const end = new AbortController();
  void signalled(log).then(() => end.abort());
  await Promise.all([own?.check(), installer.run(end.signal, options.onInstalled)]);
  if (own === undefined || !(await own.isGone())) {
    log.info("stopped; the CNI stays for whoever comes next");
    return;
  }
  await installer.remove();
  for (const path of options.remove) await clear(path);
  log.info({ removed: options.remove }, "uninstalled");
}
