import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { must } from "../support/process.js";
import { API_PORT, API_SERVICE, CONTROL } from "./address-plan.js";

const DAYS = "30";

/** A certificate and its key, as files. */
export interface Identity {
  certificate: string;
  key: string;
}

/** The cluster's certificate authority, and who got a certificate of it. */
export class Certificates {
  private constructor(readonly folder: string) {}

  static async create(folder: string): Promise<Certificates> {
    const certificates = new Certificates(folder);
    // The system's own configuration would add extensions of its own.
    writeFileSync(certificates.#configuration, "[req]\ndistinguished_name = name\n[name]\n");
    await certificates.#make("ca", "/CN=kubernetes-ca", ["basicConstraints=critical,CA:TRUE"], []);
    return certificates;
  }

  get authority(): Identity {
    return this.#files("ca");
  }

  /** The key that service accounts' tokens are signed with. */
  async serviceAccountKey(): Promise<string> {
    const { key } = this.#files("service-account");
    await must(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key]); // PKCS 8 it can't read
    return key;
  }

  apiServer(): Promise<Identity> {
    const names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost"];
    const addresses = [API_SERVICE, CONTROL.v4, CONTROL.v6, "127.0.0.1"];
    const alternatives = [...names.map((name) => `DNS:${name}`), ...addresses.map((address) => `IP:${address}`)];
    return this.#issue("apiserver", "/CN=kube-apiserver", [`subjectAltName=${alternatives.join(",")}`]);
  }

  /** Of an etcd beside the control plane. */
  etcd(name: string): Promise<Identity> {
    return this.#issue(name, "/CN=etcd", [`subjectAltName=IP:${CONTROL.v4},IP:127.0.0.1`]);
  }

  /** One that the API server takes for `user`, in `group`. */
  client(name: string, user: string, group?: string): Promise<Identity> {
    return this.#issue(name, `${group ? `/O=${group}` : ""}/CN=${user}`, ["extendedKeyUsage=clientAuth"]);
  }

  #issue(name: string, subject: string, extensions: string[]): Promise<Identity> {
    const { certificate, key } = this.authority;
    return this.#make(name, subject, extensions, ["-CA", certificate, "-CAkey", key]);
  }

  async #make(name: string, subject: string, extensions: string[], signer: string[]): Promise<Identity> {
    const files = this.#files(name);
    const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", files.key];
    const added = extensions.flatMap((extension) => ["-addext", extension]);
    const request = [
      "-config",
      this.#configuration,
      "-days",
      DAYS,
      "-subj",
      subject,
      ...added,
      "-out",
      files.certificate,
    ];
    await must(["openssl", "req", "-x509", ...newKey, ...request, ...signer]);
    return files;
  }

  get #configuration(): string {
    return join(this.folder, "openssl.cnf");
  }

  #files(name: string): Identity {
    return { certificate: join(this.folder, `${name}.crt`), key: join(this.folder, `${name}.key`) };
  }
}

/** Writes a kubeconfig that names its certificates as files. `server`: the API server's URL. */
export function writeKubeconfig(
  file: string,
  authority: Identity,
  user: Identity,
  server = `https://${CONTROL.v4}:${API_PORT}`,
): void {
  const config = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "sluice", cluster: { server, "certificate-authority": authority.certificate } }],
    users: [{ name: "user", user: { "client-certificate": user.certificate, "client-key": user.key } }],
    contexts: [{ name: "sluice", context: { cluster: "sluice", user: "user" } }],
    "current-context": "sluice",
  };
  writeFileSync(file, `${JSON.stringify(config, undefined, 2)}\n`, { mode: 0o600 });
}
