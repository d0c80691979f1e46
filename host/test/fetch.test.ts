import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { Repository } from "@sluice/sdk/oci";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { PASSWORD, Registry, USER } from "../../sdk/test/cli/registry.js";
import { SluiceError } from "../src/errors.js";
import { fetchUrl, OciModule, type PullSecret } from "../src/plugins/fetch.js";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const WASM = new TextEncoder().encode("a module, as far as fetching goes");
const digestOf = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const LIMITS = { timeMs: 1000, bytes: 1 << 20 };
/** As long as the limit of time is hit for sure, not by chance. */
const PATIENT = { timeMs: 20_000, bytes: 1 << 20 };

async function problem(work: Promise<unknown>): Promise<string> {
  const error = await work.catch((reason: unknown) => reason);
  if (!(error instanceof SluiceError)) throw new Error(`no SluiceError: ${error}`);
  return error.message;
}

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
  server = undefined;
});

/** @returns "127.0.0.1:PORT" */
async function serve(listener: RequestListener): Promise<string> {
  server = createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Sends without an end, and without a length. */
const endless: RequestListener = (request, response) => {
  const more = () => {
    while (response.write(Buffer.alloc(1 << 16)));
  };
  request.on("close", () => response.off("drain", more));
  response.on("drain", more);
  more();
};

describe("a URL", () => {
  test("gives its module", async () => {
    const host = await serve((_, response) => response.end(WASM));
    expect(await fetchUrl({ url: `http://${host}/a.wasm`, sha256: digestOf(WASM) }, PATIENT)).toEqual(
      Buffer.from(WASM),
    );
  });

  const ROWS: [what: string, listener: RequestListener, limits: typeof LIMITS, expected: RegExp][] = [
    [
      "of other content than its digest says",
      (_, response) => response.end("other"),
      PATIENT,
      /^digest-mismatch \/spec\/source\/url\/sha256: .*has other content than the digest says/,
    ],
    [
      "that is not there",
      (_, response) => response.writeHead(404).end(),
      PATIENT,
      /^fetch-failed \/spec\/source\/url\/url: 127\.0\.0\.1:\d+ answers 404; is the module there\?$/,
    ],
    [
      "of 100 MB, which is not read",
      (_, response) => response.writeHead(200, { "content-length": 100e6 }).flushHeaders(),
      PATIENT,
      /^module-too-large .* more than the 1048576 bytes that are allowed$/,
    ],
    ["without an end", endless, PATIENT, /^module-too-large /],
    ["that does not answer", () => undefined, LIMITS, /^fetch-failed .* did not answer within 1 s; it is tried again$/],
    [
      "that stalls after its first bytes",
      (_, response) => void response.writeHead(200, { "content-length": 1000 }).write("begin"),
      LIMITS,
      /^fetch-failed .* did not answer within 1 s; it is tried again$/,
    ],
  ];
  test.each(ROWS)("%s is refused", async (_, listener, limits, expected) => {
    const host = await serve(listener);
    expect(await problem(fetchUrl({ url: `http://${host}/a.wasm`, sha256: digestOf(WASM) }, limits))).toMatch(expected);
  });

  test("where nobody listens", async () => {
    const host = await serve(() => undefined);
    server?.close();
    expect(await problem(fetchUrl({ url: `http://${host}/`, sha256: digestOf(WASM) }, PATIENT))).toMatch(
      /^fetch-failed .*can't be reached: connect ECONNREFUSED/,
    );
  });
});

/** Pushes as `sluice-plugin push` does. @returns the image's digest */
async function push(host: string, tag: string, layers: [mediaType: string, bytes: Uint8Array][], login?: PullSecret) {
  const describe = (mediaType: string, bytes: Uint8Array) => ({
    descriptor: { mediaType, digest: `sha256:${digestOf(bytes)}`, size: bytes.length },
    bytes,
  });
  const blobs = layers.map(([mediaType, bytes]) => describe(mediaType, bytes));
  const config = describe("application/vnd.wasm.config.v0+json", new TextEncoder().encode("{}"));
  const mediaType = "application/vnd.oci.image.manifest.v1+json";
  const content = {
    schemaVersion: 2,
    mediaType,
    config: config.descriptor,
    layers: blobs.map(({ descriptor }) => descriptor),
  };
  const manifest = describe(mediaType, new TextEncoder().encode(JSON.stringify(content)));
  const credentials = login === undefined ? undefined : { user: USER, password: PASSWORD };
  const found = { place: "", remedy: () => "", find: async () => credentials };
  const repository = new Repository(host, "team/guard", { plainHttp: true, timeout: 20_000, login: found });
  await repository.push(tag, { blobs: [config, ...blobs], manifest });
  return manifest.descriptor.digest;
}

const LAYER = "application/wasm";
const oci = (reference: string, secret?: PullSecret, limits = PATIENT) =>
  new OciModule({ reference, pullPolicy: "IfNotPresent", plainHttp: true }, secret, limits);
const pulled = async (module: OciModule) => module.pull(await module.resolve());

describe("a registry", () => {
  let registry: Registry;
  beforeAll(async () => {
    registry = await Registry.start();
  });
  afterAll(() => registry.stop());

  test("resolves a tag to a digest, and gives the module by that", async () => {
    const digest = await push(registry.host, "1.0.0", [[LAYER, WASM]]);
    const module = oci(`${registry.host}/team/guard:1.0.0`);
    expect(await module.resolve()).toBe(digest);
    await push(registry.host, "1.0.0", [[LAYER, new TextEncoder().encode("a newer one")]]);
    expect(Buffer.from(await module.pull(digest))).toEqual(Buffer.from(WASM));
  });

  test("is not asked what a digest means", async () => {
    const digest = await push(registry.host, "kept", [[LAYER, WASM]]);
    const module = oci(`${registry.host}/team/guard:no-such-tag@${digest}`);
    expect(await module.resolve()).toBe(digest);
    expect(Buffer.from(await pulled(module))).toEqual(Buffer.from(WASM));
  });

  test("has no such tag", async () => {
    expect(await problem(oci(`${registry.host}/team/guard:none`).resolve())).toMatch(
      /^fetch-failed \/spec\/source\/oci\/reference: answers 404.*; check the registry, the name and the tag/,
    );
  });

  const BAD: [what: string, layers: [string, Uint8Array][], expected: RegExp][] = [
    ["of no layer", [], /is no image of one module: it has 0 layers; push one with sluice-plugin push$/],
    ["of another kind", [["application/octet-stream", WASM]], /is no image of one module/],
    [
      "of two modules",
      [
        [LAYER, WASM],
        [LAYER, new Uint8Array(2)],
      ],
      /is no image of one module: it has 2 layers/,
    ],
    [
      "too large a module",
      [[LAYER, new Uint8Array((1 << 20) + 1)]],
      /^module-too-large \/spec\/source\/oci\/reference/,
    ],
  ];
  test.each(BAD)("has an image %s", async (_, layers, expected) => {
    await push(registry.host, "bad", layers);
    expect(await problem(pulled(oci(`${registry.host}/team/guard:bad`)))).toMatch(expected);
  });
});

describe.each(["basic", "token"] as const)("a registry that asks who it is, by %s", (access) => {
  let registry: Registry;
  const secret = (password: string): PullSecret => {
    const auth = Buffer.from(`${USER}:${password}`).toString("base64");
    return { name: "team/login", text: JSON.stringify({ auths: { [registry.host]: { auth } } }) };
  };
  beforeAll(async () => {
    registry = await Registry.start({ access });
    await push(registry.host, "1", [[LAYER, WASM]], secret(PASSWORD));
  });
  afterAll(() => registry.stop());

  test("lets in who has the pull secret", async () => {
    expect(Buffer.from(await pulled(oci(`${registry.host}/team/guard:1`, secret(PASSWORD))))).toEqual(
      Buffer.from(WASM),
    );
  });

  test("lets in nobody else, and no message has the password", async () => {
    const none = await problem(oci(`${registry.host}/team/guard:1`).resolve());
    expect(none).toMatch(
      /^fetch-failed \/spec\/source\/oci\/pullSecret: answers 401.*names no pull secret; name a pull/,
    );
    const wrong = await problem(oci(`${registry.host}/team/guard:1`, secret("wrong battery")).resolve());
    expect(wrong).toMatch(/the login for 127\.0\.0\.1:\d+ in pull secret team\/login is not enough/);
    expect(wrong).not.toContain("battery");
  });
});

test.each(["{", "[]", "{}", '{"auths":null}'])("a pull secret that is none: %s", (text) => {
  expect(() => oci("127.0.0.1:1/a:1", { name: "team/login", text })).toThrow(/^bad-pull-secret .*team\/login has no/);
});

describe("a registry that lies or stalls", () => {
  const digest = `sha256:${digestOf(WASM)}`;
  const ROWS: [what: string, listener: RequestListener, limits: typeof LIMITS, expected: RegExp][] = [
    [
      "gives another manifest than the digest's",
      (_, response) => response.end("{}"),
      PATIENT,
      /^digest-mismatch .*gives other content than sha256:/,
    ],
    ["sends a manifest without an end", endless, PATIENT, /^module-too-large /],
    ["does not answer", () => undefined, LIMITS, /^fetch-failed .* did not answer within 1 s; can the reflector reach/],
    [
      "stalls after its first bytes",
      (_, response) => void response.writeHead(200, { "content-length": 1000 }).write("begin"),
      LIMITS,
      /^fetch-failed .* did not answer within 1 s; can the reflector reach it\? It is tried again$/,
    ],
  ];
  test.each(ROWS)("%s", async (_, listener, limits, expected) => {
    const host = await serve(listener);
    expect(await problem(pulled(oci(`${host}/guard@${digest}`, undefined, limits)))).toMatch(expected);
  });

  test("gives no digest of a tag", async () => {
    const host = await serve((_, response) => response.end());
    expect(await problem(oci(`${host}/guard:1`).resolve())).toMatch(/gives no digest of 1; name the module by its/);
  });
});

test("a module of Sluice's own is far below the limit", () => {
  const file = new URL("../../plugins/policy/build/policy.wasm", import.meta.url);
  expect(readFileSync(file).length).toBeLessThan((4 << 20) / 10);
});
