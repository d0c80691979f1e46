import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { EtcdServer } from "../../test/support/etcd.js";
import { must } from "../../test/support/process.js";
import { EtcdStore } from "../src/store/etcd-store.js";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let folder: string;
let etcd: EtcdServer;
const file = (name: string) => join(folder, name);

/** A certificate and its key, of the CA or of itself. */
async function certificate(name: string, extension: string, ca?: string): Promise<void> {
  const signer = ca === undefined ? [] : ["-CA", file(`${ca}.crt`), "-CAkey", file(`${ca}.key`)];
  await must([
    ...["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"],
    ...["-config", file("openssl.cnf"), "-subj", `/CN=${name}`, "-addext", extension],
    ...["-keyout", file(`${name}.key`), "-out", file(`${name}.crt`), ...signer],
  ]);
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "etcd-tls-test-"));
  await writeFile(file("openssl.cnf"), "[req]\ndistinguished_name = name\n[name]\n");
  await certificate("ca", "basicConstraints=critical,CA:TRUE");
  await certificate("other", "basicConstraints=critical,CA:TRUE");
  await certificate("server", "subjectAltName=IP:127.0.0.1", "ca");
  await certificate("client", "extendedKeyUsage=clientAuth", "ca");
  await certificate("stranger", "extendedKeyUsage=clientAuth", "other");
  etcd = await EtcdServer.start({ tls: { ca: file("ca.crt"), cert: file("server.crt"), key: file("server.key") } });
});
afterAll(async () => {
  await etcd?.stop();
  await rm(folder, { recursive: true, force: true });
});

async function roundTrip(tls: { ca: string; cert?: string; key?: string }): Promise<string | undefined> {
  const store = EtcdStore.open({ endpoints: [etcd.endpoint], tls });
  try {
    await store.put("/sluice/v1/test/a", "1");
    return (await store.get("/sluice/v1/test/a"))?.value;
  } finally {
    await store.close();
  }
}

test("with a certificate of its CA it is read and written", async () => {
  expect(await roundTrip({ ca: file("ca.crt"), cert: file("client.crt"), key: file("client.key") })).toBe("1");
});

test.each([
  ["without a certificate", { ca: "ca.crt" }],
  ["with a certificate of another CA", { ca: "ca.crt", cert: "stranger.crt", key: "stranger.key" }],
  ["when etcd's own is of another CA", { ca: "other.crt", cert: "client.crt", key: "client.key" }],
])("%s it can't be used, which names the endpoint", async (_, names) => {
  const tls = Object.fromEntries(Object.entries(names).map(([key, name]) => [key, file(name)])) as { ca: string };
  await expect(roundTrip(tls)).rejects.toMatchObject({ problems: [{ code: "etcd-unavailable", path: etcd.endpoint }] });
});
