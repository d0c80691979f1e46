import { example, type OutputOptions, withOutput, wrongUsage } from "@sluice/sdk/cli";
import { type Command, InvalidArgumentError } from "commander";
import { parseAddress } from "../../config/addresses.js";
import type { NamespacedName } from "../../kube/api.js";
import type { PkiResult } from "../../pki/pki.js";
import { wholeNumber } from "../arguments.js";
import { namespacedName } from "../etcd-options.js";
import { logLevelOption } from "../log-level.js";
import type { Io } from "../output.js";

interface PkiFlags extends OutputOptions {
  secret: NamespacedName;
  service: NamespacedName;
  address: string[];
  out: string;
  days: number;
  follow?: true;
  kubeconfig?: string;
  logLevel: string;
}

export function addPki(program: Command, io: Io): void {
  const command = program
    .command("pki")
    .summary("make the certificates of Sluice's etcd")
    .description(
      "Make what is missing of the certificates with which Sluice's etcd and its clients know each other, and renew what ends soon: the authority and the clients' certificate in two Secrets, etcd's own in files. Run again it changes nothing that is good.",
    )
    .requiredOption(
      "--secret <namespace/name>",
      "the Secrets NAME-ca (ca.crt, ca.key) and NAME-client (ca.crt, tls.crt, tls.key); made where they are not there",
      namespacedName,
    )
    .requiredOption("--service <namespace/name>", "etcd's Service, whose name its certificate has", namespacedName)
    .requiredOption("--out <folder>", "where ca.crt, server.crt and server.key go, for etcd")
    .option("--address <addresses>", "etcd's own, with commas between; may be repeated", addresses, [])
    .option(
      "--days <number>",
      "how long a certificate is good; renewed when a third of it is left",
      wholeNumber(1),
      365,
    )
    .option("--follow", "stay, and renew in time, until SIGINT or SIGTERM")
    .option("--kubeconfig <file>", "how to reach the API; default: that of the pod this runs in, or as kubectl")
    .addOption(logLevelOption());
  withOutput(command).action(async (flags: PkiFlags) => {
    if (flags.days > MAX_DAYS) throw wrongUsage(`--days ${flags.days}: allowed: up to ${MAX_DAYS}`);
    const { runPki } = await import("../../pki/process.js");
    await runPki({
      ...flags,
      addresses: flags.address,
      isFollowing: flags.follow === true,
      told: (results) => tell(results, flags, io),
    });
  });
  example(
    command,
    "sluice pki --secret kube-system/etcd --service kube-system/etcd --out /etc/etcd",
    "before etcd starts, in its pod",
  );
}

/** Ten years less what the authority may have been used. */
const MAX_DAYS = 3000;

function addresses(text: string, before: readonly string[]): string[] {
  const given = text.split(",");
  const wrong = given.find((address) => parseAddress(address) === undefined);
  if (wrong === undefined) return [...before, ...given];
  throw new InvalidArgumentError(`Found "${wrong}"; allowed: IPv4 and IPv6 addresses.`);
}

function tell(results: readonly PkiResult[], { output }: OutputOptions, io: Io): void {
  const lines = results.map(
    ({ what, place, done, until }) =>
      `${what.padEnd(9)}  ${done.padEnd(7)}  good until ${until.toISOString().slice(0, 10)}  ${place}`,
  );
  io.out(output === "json" ? JSON.stringify(results) : lines.join("\n"));
}
