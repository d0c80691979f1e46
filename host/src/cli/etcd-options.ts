import { wrongUsage } from "@sluice/sdk/cli";
import { type Command, InvalidArgumentError } from "commander";
import type { NamespacedName } from "../kube/api.js";
import type { EtcdPlace, EtcdSource } from "../store/followed.js";

export interface EtcdFlags {
  etcd?: string[];
  etcdService?: NamespacedName;
  etcdCa?: string;
  etcdCert?: string;
  etcdKey?: string;
  etcdServerName?: string;
  kubeconfig?: string;
}

/** The options of commands that use Sluice's etcd, whose kubeconfig is for more than that in some. */
export function withEtcd(command: Command): Command {
  return command
    .option("--etcd <urls>", "endpoints of Sluice's etcd, with commas between", (text) => text.split(","))
    .option(
      "--etcd-service <namespace/name>",
      'instead: the Service in front of it, whose endpoints of the port "client" are asked of the API and followed',
      namespacedName,
    )
    .option("--etcd-ca <file>", "PEM file of the CA that signed etcd's certificate")
    .option("--etcd-cert <file>", "PEM file of a client certificate, where etcd asks for one")
    .option("--etcd-key <file>", "PEM file of its key")
    .option(
      "--etcd-server-name <name>",
      "the name in etcd's certificate; default: the host of its URL, or NAME.NAMESPACE.svc of its Service",
    )
    .option("--kubeconfig <file>", "how to reach the API; default: that of the pod this runs in, or as kubectl");
}

/** @throws CommanderError */
export function etcdOf(flags: EtcdFlags): EtcdSource {
  const { etcdCa: ca, etcdCert: cert, etcdKey: key, etcdServerName: serverName } = flags;
  const at = placeOf(flags);
  if (ca === undefined) {
    if (cert === undefined && key === undefined && serverName === undefined) return { at };
    throw wrongUsage("--etcd-cert, --etcd-key and --etcd-server-name: allowed: with --etcd-ca");
  }
  const client = { ...(cert === undefined ? {} : { cert }), ...(key === undefined ? {} : { key }) };
  return { at, tls: { ca, ...client, ...(serverName === undefined ? {} : { serverName }) } };
}

function placeOf({ etcd, etcdService, kubeconfig }: EtcdFlags): EtcdPlace {
  if (etcd !== undefined && etcdService !== undefined)
    throw wrongUsage("--etcd and --etcd-service: allowed: one of them");
  if (etcd !== undefined) return { endpoints: etcd };
  if (etcdService === undefined) throw wrongUsage("--etcd or --etcd-service is needed: where Sluice's etcd is");
  return { service: etcdService, ...(kubeconfig === undefined ? {} : { kubeconfig }) };
}

/** Of a Service, a DaemonSet, a Secret: names that DNS takes. */
export function namespacedName(text: string): NamespacedName {
  const part = "[a-z0-9]([-a-z0-9.]*[a-z0-9])?";
  const { namespace, name } = new RegExp(`^(?<namespace>${part})/(?<name>${part})$`).exec(text)?.groups ?? {};
  if (namespace === undefined || name === undefined) {
    throw new InvalidArgumentError(`Found "${text}"; allowed: a namespace and a name, such as kube-system/sluice.`);
  }
  return { namespace, name };
}
