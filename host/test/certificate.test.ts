import { X509Certificate } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { must, run } from "../../test/support/process.js";
import { type CertificatePlan, fits, type Identity, issue, leftOf } from "../src/pki/certificate.js";

const NAMES = ["sluice-etcd.kube-system.svc", "*.sluice-etcd.kube-system.svc", "localhost", "192.0.2.1", "2001:db8::1"];

let folder: string;
let authority: Identity;
let server: Identity;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "certificate-test-"));
  authority = issue({ commonName: "etcd-ca", kind: "authority", days: 3650 });
  server = issue({ commonName: "etcd", kind: "server", days: 365, names: NAMES }, authority);
  await writeFile(join(folder, "ca.crt"), authority.certificate);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function openssl(certificate: string, ...args: string[]) {
  return run(["openssl", ...args], { input: certificate });
}

describe("OpenSSL takes", () => {
  const PURPOSES: [string, CertificatePlan["kind"], string, number][] = [
    ["etcd's certificate for a server", "server", "sslserver", 0],
    ["etcd's certificate for a client: it speaks to itself", "server", "sslclient", 0],
    ["a client's certificate for a client", "client", "sslclient", 0],
    ["a client's certificate for no server", "client", "sslserver", 2],
    ["no certificate but the authority's for an authority", "server", "crlsign", 2],
  ];
  test.each(PURPOSES)("%s", async (_, kind, purpose, status) => {
    const { certificate } = issue({ commonName: "one", kind, days: 2 }, authority);
    const check = ["verify", "-x509_strict", "-CAfile", join(folder, "ca.crt"), "-purpose", purpose];
    expect((await openssl(certificate, ...check)).status).toBe(status);
  });

  test("its names, addresses and dates", async () => {
    const text = await must(["openssl", "x509", "-noout", "-text"], { input: server.certificate });
    expect(text).toContain("DNS:sluice-etcd.kube-system.svc, DNS:*.sluice-etcd.kube-system.svc, DNS:localhost");
    expect(text).toContain("IP Address:192.0.2.1, IP Address:2001:DB8:0:0:0:0:0:1");
    expect(text).toContain("Issuer: CN = etcd-ca");
    const { validFrom, validTo } = new X509Certificate(server.certificate);
    expect(Date.parse(validTo) - Date.parse(validFrom)).toBe(365 * 86_400_000);
    expect(Date.parse(validFrom)).toBeLessThan(Date.now());
  });

  test("dates beyond 2049, which have another form", async () => {
    const { certificate } = issue({ commonName: "long", kind: "authority", days: 40_000 });
    const end = await must(["openssl", "x509", "-noout", "-enddate"], { input: certificate });
    expect(Date.parse(end.replace("notAfter=", ""))).toBe(Date.parse(new X509Certificate(certificate).validTo));
    expect(new Date(new X509Certificate(certificate).validTo).getUTCFullYear()).toBeGreaterThan(2100);
  });
});

describe("a certificate fits", () => {
  const other = () => issue({ commonName: "etcd-ca", kind: "authority", days: 3650 });
  const ROWS: [string, () => boolean, boolean][] = [
    [
      "its authority and its names",
      () => fits(server, authority.certificate, ["sluice-etcd.kube-system.svc", "2001:db8::1"]),
      true,
    ],
    ["no name that it lacks", () => fits(server, authority.certificate, ["sluice-etcd.other.svc"]), false],
    ["no address that it lacks", () => fits(server, authority.certificate, ["192.0.2.2"]), false],
    ["no authority of the same name", () => fits(server, other().certificate), false],
    ["no other key", () => fits({ ...server, key: other().key }, authority.certificate), false],
    [
      "nothing once it has ended",
      () => fits(issue({ commonName: "old", kind: "client", days: 0 }, authority), authority.certificate),
      false,
    ],
    ["nothing when it is none", () => fits({ certificate: "none", key: "none" }, authority.certificate), false],
  ];
  test.each(ROWS)("%s", (_, look, expected) => {
    expect(look()).toBe(expected);
  });

  test("a share of its life is left", () => {
    expect(leftOf(server.certificate)).toBeGreaterThan(0.99);
    expect(leftOf(issue({ commonName: "old", kind: "client", days: 0 }, authority).certificate)).toBeLessThan(0.01);
  });
});
