import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { Backoff } from "../backoff.js";
import { writeDurably } from "../durable-file.js";
import { SluiceError, systemCode } from "../errors.js";
import type { KubeApi, NamespacedName } from "../kube/api.js";
import { hasKubeCode } from "../kube/errors.js";
import { SecretFile } from "../kube/secret.js";
import { type CertificatePlan, fits, type Identity, issue, leftOf, validUntil } from "./certificate.js";

export interface PkiOptions {
  readonly api: KubeApi;
  /** The Secrets' names are this one with "-ca" and "-client" after it. */
  readonly secret: NamespacedName;
  /** etcd's. */
  readonly service: NamespacedName;
  readonly addresses: readonly string[];
  /** Where etcd reads its certificate. */
  readonly out: string;
  /** How long etcd's and its clients' certificates are good. */
  readonly days: number;
  readonly log: Logger;
}

/** What became of a certificate. */
export interface PkiResult {
  readonly what: "authority" | "client" | "server";
  readonly place: string;
  readonly done: "made" | "renewed" | "kept";
  readonly until: Date;
}

const AUTHORITY_DAYS = 3650;
/** Certificates are renewed when no more of their life is left. */
const RENEWED_AT = 1 / 3;
const LOOK_MS = 3_600_000;
/** Several members of etcd start at once, and one of them is first. */
const TRIES = 10;

/** Entries of the Secrets, and files. */
const CA = "ca.crt";
const CA_KEY = "ca.key";
const CLIENT = { certificate: "tls.crt", key: "tls.key" };
const SERVER = { certificate: "server.crt", key: "server.key" };

/** Makes the certificates of Sluice's etcd and its clients that are missing, and renews those that end soon. */
export class Pki {
  constructor(private readonly options: PkiOptions) {}

  /** @throws SluiceError */
  async maintain(): Promise<PkiResult[]> {
    const [authority, authorityResult] = await this.settled(() => this.authority());
    const clientResult = await this.settled(() => this.client(authority));
    const serverResult = await this.server(authority);
    return [authorityResult, clientResult, serverResult];
  }

  /** Maintains them until `signal` is aborted. */
  async follow(signal: AbortSignal, told: (results: readonly PkiResult[]) => void): Promise<void> {
    const { log } = this.options;
    const backoff = new Backoff(1000, 60_000);
    while (!signal.aborted) {
      try {
        told(await this.maintain());
        backoff.reset();
        await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
      } catch (error) {
        if (!(error instanceof SluiceError)) throw error;
        log.warn({ problems: error.problems }, "etcd's certificates can't be looked after for now");
        await backoff.wait(signal);
      }
    }
  }

  private async authority(): Promise<[Identity, PkiResult]> {
    const { secret, log } = this.options;
    const place = named(secret, "ca");
    const file = await SecretFile.read(this.options.api, place);
    const { [CA]: certificate = "", [CA_KEY]: key = "" } = file.data;
    const known = { certificate, key };
    const result = { what: "authority", place: textOf(place) } as const;
    if (fits(known, certificate)) {
      const until = validUntil(certificate);
      // A new one that nobody knows yet would cut off every client at once: that is for its owner to do.
      if (leftOf(certificate) < 1 / 10)
        log.warn({ secret: textOf(place), until }, "the authority of etcd's certificates ends: delete both Secrets");
      return [known, { ...result, done: "kept", until }];
    }
    const made = issue({ commonName: `${secret.name}-ca`, kind: "authority", days: AUTHORITY_DAYS });
    await file.write({ [CA]: made.certificate, [CA_KEY]: made.key });
    return [made, { ...result, done: "made", until: validUntil(made.certificate) }];
  }

  private async client(authority: Identity): Promise<PkiResult> {
    const { secret, days } = this.options;
    const place = named(secret, "client");
    const file = await SecretFile.read(this.options.api, place);
    const known = identityOf(file.data, CLIENT);
    const result = { what: "client", place: textOf(place) } as const;
    if (file.data[CA] === authority.certificate && isGood(known, authority)) return kept(result, known);
    const made = issue({ commonName: secret.name, kind: "client", days }, authority);
    await file.write({ [CA]: authority.certificate, [CLIENT.certificate]: made.certificate, [CLIENT.key]: made.key });
    return renewed(result, known, made);
  }

  private async server(authority: Identity): Promise<PkiResult> {
    const { out, days, service, addresses } = this.options;
    const host = `${service.name}.${service.namespace}.svc`;
    const names = [host, `*.${host}`, "localhost", "127.0.0.1", "::1", ...addresses];
    const files = Object.fromEntries(
      await Promise.all([CA, ...Object.values(SERVER)].map(async (name) => [name, await text(join(out, name))])),
    ) as Record<string, string>;
    const known = identityOf(files, SERVER);
    const result = { what: "server", place: out } as const;
    const asked = [host, ...addresses];
    if (files[CA] === authority.certificate && isGood(known, authority, asked)) return kept(result, known);
    const plan: CertificatePlan = { commonName: host, kind: "server", days, names: [...new Set(names)] };
    const made = issue(plan, authority);
    await mkdir(out, { recursive: true });
    await writeDurably(join(out, CA), authority.certificate);
    await writeDurably(join(out, SERVER.key), made.key);
    await writeDurably(join(out, SERVER.certificate), made.certificate);
    return renewed(result, known, made);
  }

  /** Once more where somebody else was first. */
  private async settled<Value>(work: () => Promise<Value>): Promise<Value> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await work();
      } catch (error) {
        if (!hasKubeCode(error, "kube-conflict") || attempt === TRIES) throw error;
      }
    }
  }
}

const isGood = (known: Identity, authority: Identity, names: readonly string[] = []): boolean =>
  fits(known, authority.certificate, names) && leftOf(known.certificate) > RENEWED_AT;

const kept = (result: Pick<PkiResult, "what" | "place">, { certificate }: Identity): PkiResult => ({
  ...result,
  done: "kept",
  until: validUntil(certificate),
});

const renewed = (
  result: Pick<PkiResult, "what" | "place">,
  before: Identity,
  { certificate }: Identity,
): PkiResult => ({
  ...result,
  done: before.certificate === "" ? "made" : "renewed",
  until: validUntil(certificate),
});

const identityOf = (data: Readonly<Record<string, string>>, names: Identity): Identity => ({
  certificate: data[names.certificate] ?? "",
  key: data[names.key] ?? "",
});

const named = ({ namespace, name }: NamespacedName, suffix: string): NamespacedName => ({
  namespace,
  name: `${name}-${suffix}`,
});
const textOf = ({ namespace, name }: NamespacedName): string => `${namespace}/${name}`;

/** Empty where it is not there. */
async function text(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return "";
    throw SluiceError.of("unreadable-file", file, String(error), { cause: error });
  }
}
