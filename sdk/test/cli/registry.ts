// Debian's docker-registry on a loopback port of its own, and who lets users into it.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createSign, randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const USER = "author";
export const PASSWORD = "correct horse";
/** bcrypt of PASSWORD, as htpasswd has it. */
const HTPASSWD = `${USER}:$2b$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2\n`;
const SERVICE = "test-registry";
const ISSUER = "test-issuer";

export type Access = "open" | "basic" | "token";

export interface RegistryOptions {
  access?: Access;
  tls?: boolean;
}

/** A running registry; its folder goes with it. */
export class Registry {
  private constructor(
    readonly folder: string,
    /** "127.0.0.1:PORT" */
    readonly host: string,
    /** A certificate that a TLS registry is known by. */
    readonly certificate: string,
    private readonly process: ChildProcess,
    private readonly issuer: Server | undefined,
  ) {}

  static async start({ access = "open", tls = false }: RegistryOptions = {}): Promise<Registry> {
    const folder = mkdtempSync(join(tmpdir(), "sluice-registry-"));
    const key = join(folder, "key.pem");
    const certificate = join(folder, "certificate.pem");
    makeCertificate(key, certificate);
    const issuer = access === "token" ? await startIssuer(key, certificate) : undefined;
    const realm = issuer === undefined ? "" : `http://127.0.0.1:${(issuer.address() as AddressInfo).port}/token`;
    const password = join(folder, "htpasswd");
    writeFileSync(password, HTPASSWD);
    const auth = {
      open: {},
      basic: { auth: { htpasswd: { realm: "registry", path: password } } },
      token: { auth: { token: { realm, service: SERVICE, issuer: ISSUER, rootcertbundle: certificate } } },
    }[access];
    const http = { addr: "127.0.0.1:0", ...(tls ? { tls: { certificate, key } } : {}) };
    const storage = { filesystem: { rootdirectory: join(folder, "storage") } };
    const file = join(folder, "config.yml");
    writeFileSync(file, JSON.stringify({ version: 0.1, log: { level: "info" }, storage, http, ...auth })); // JSON is YAML
    const process = spawn("docker-registry", ["serve", file], { stdio: ["ignore", "ignore", "pipe"] });
    return new Registry(folder, await addressOf(process), certificate, process, issuer);
  }

  /** What is stored under a path of the API, without asking for leave. */
  async get(path: string, accept: string): Promise<Response> {
    return fetch(`http://${this.host}/v2/${path}`, { headers: { accept } });
  }

  async stop(): Promise<void> {
    if (this.process.exitCode === null && this.process.signalCode === null) {
      this.process.kill("SIGTERM");
      await once(this.process, "exit");
    }
    this.issuer?.close();
    rmSync(this.folder, { recursive: true });
  }
}

/** Its log says where it listens. The log is read to its end: the registry ends when nobody does. */
function addressOf(process: ChildProcess): Promise<string> {
  let log = "";
  return new Promise((resolve, reject) => {
    process.stderr?.on("data", (data: Buffer) => {
      log += data.toString();
      const found = /listening on (127\.0\.0\.1:\d+)/.exec(log)?.[1];
      if (found !== undefined) resolve(found);
    });
    process.once("error", reject);
    process.once("exit", () => reject(new Error(`docker-registry ended:\n${log}`)));
  });
}

function makeCertificate(key: string, certificate: string): void {
  const names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"];
  const files = ["-keyout", key, "-out", certificate, "-days", "2", "-nodes"];
  execFileSync("openssl", ["req", "-x509", "-newkey", "rsa:2048", ...files, ...names], { stdio: "ignore" });
}

/** Issues tokens to USER, as https://distribution.github.io/distribution/spec/auth/token/ says. */
async function startIssuer(key: string, certificate: string): Promise<Server> {
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "", "http://issuer");
    const login = `Basic ${Buffer.from(`${USER}:${PASSWORD}`).toString("base64")}`;
    if (request.headers.authorization !== login) {
      response.writeHead(401).end();
      return;
    }
    const token = makeToken(url.searchParams.get("scope") ?? "", key, certificate);
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ token }));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

/** A JSON web token (RFC 7519), signed with the key that the registry knows by its certificate. */
function makeToken(scope: string, key: string, certificate: string): string {
  const [type = "", name = "", actions = ""] = scope.split(":");
  const now = Math.floor(Date.now() / 1000);
  const der = readFileSync(certificate, "utf8").replace(/-----.*-----|\n/g, "");
  const claims = {
    iss: ISSUER,
    sub: USER,
    aud: SERVICE,
    exp: now + 60,
    nbf: now - 60,
    iat: now,
    jti: randomUUID(),
    access: [{ type, name, actions: actions.split(",") }],
  };
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const text = `${encode({ typ: "JWT", alg: "RS256", x5c: [der] })}.${encode(claims)}`;
  return `${text}.${createSign("RSA-SHA256").update(text).sign(readFileSync(key), "base64url")}`;
}
