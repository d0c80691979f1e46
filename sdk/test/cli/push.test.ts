import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer, type Server } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { makeModule } from "../modules.js";
import { PASSWORD, Registry, USER } from "./registry.js";
import { COMMAND, plugin, run, testFolder } from "./support.js";

const MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json";
const { path, write } = testFolder();
const wasm = makeModule();
const layer = `sha256:${createHash("sha256").update(wasm).digest("hex")}`;
let file: string;

beforeAll(async () => {
  file = await write("made.wasm", wasm);
});
const json = (name: string) => JSON.parse(readFileSync(path(name), "utf8"));
const blob = (layout: string, digest: string) => readFileSync(path(`${layout}/blobs/sha256/${digest.slice(7)}`));

/** What a manifest must be, wherever it lies. */
function checkManifest(manifest: Record<string, unknown>): void {
  expect(manifest).toMatchObject({
    schemaVersion: 2,
    mediaType: MANIFEST_TYPE,
    config: { mediaType: "application/vnd.wasm.config.v0+json" },
    layers: [{ mediaType: "application/wasm", digest: layer, size: wasm.length }],
    annotations: { "org.opencontainers.image.title": "made", "org.opencontainers.image.version": "1.0.0" },
  });
}

describe("to a layout", () => {
  test("an image with the module as its one layer, found by its tag", async () => {
    const url = "https://example.com/made";
    const { code, out } = await plugin(
      "push",
      file,
      path("layout"),
      "--source",
      url,
      "--annotation",
      "a.b=c=d",
      "-o",
      "json",
    );
    expect(code).toBe(0);
    const result = JSON.parse(out);
    expect(result).toMatchObject({ target: path("layout"), tag: "1.0.0", layer });
    expect(json("layout/oci-layout")).toEqual({ imageLayoutVersion: "1.0.0" });
    const { schemaVersion, manifests } = json("layout/index.json");
    expect(schemaVersion).toBe(2);
    expect(manifests).toEqual([
      {
        mediaType: MANIFEST_TYPE,
        digest: result.digest,
        size: blob("layout", result.digest).length,
        annotations: { "org.opencontainers.image.ref.name": "1.0.0" },
      },
    ]);
    const manifest = JSON.parse(blob("layout", result.digest).toString());
    checkManifest(manifest);
    expect(manifest.annotations).toMatchObject({ "org.opencontainers.image.source": url, "a.b": "c=d" });
    expect(blob("layout", layer).equals(wasm)).toBe(true);
    const config = JSON.parse(blob("layout", manifest.config.digest).toString());
    expect(config).toMatchObject({ architecture: "wasm", os: "wasip1", layerDigests: [layer] });
    expect(manifest.config.size).toBe(blob("layout", manifest.config.digest).length);
  });

  test("every blob's name is its digest, and no half-written file is left", async () => {
    await plugin("push", file, path("digests"));
    for (const name of readdirSync(path("digests/blobs/sha256"))) {
      const digest = createHash("sha256")
        .update(readFileSync(path(`digests/blobs/sha256/${name}`)))
        .digest("hex");
      expect(name).toBe(digest);
    }
  });

  test("another version stands beside the first; the same version again takes its place", async () => {
    const second = await write("second.wasm", makeModule({ manifest: { version: "2.0.0+build.7" } }));
    const changed = await write("changed.wasm", makeModule({ manifest: { headerBytes: 64 } }));
    for (const each of [file, second, changed]) expect((await plugin("push", each, path("versions"))).code).toBe(0);
    const tags = json("versions/index.json").manifests.map(
      (each: { annotations: Record<string, string> }) => each.annotations["org.opencontainers.image.ref.name"],
    );
    expect(tags).toEqual(["2.0.0_build.7", "1.0.0"]);
  });

  test.each([
    [
      "other files",
      { "notes.txt": "mine" },
      "has files in it, but is no OCI layout: it has no oci-layout. Give an empty or new folder",
    ],
    [
      "a layout of another version",
      { "oci-layout": '{"imageLayoutVersion":"2.0.0"}', "index.json": "{}" },
      "is a layout of version 2.0.0. Give one of 1.0.0",
    ],
    [
      "a broken index",
      { "oci-layout": '{"imageLayoutVersion":"1.0.0"}', "index.json": "{" },
      "has files in it, but is no OCI layout: its index.json is not JSON. Give an empty or new folder",
    ],
  ])("not into a folder with %s", async (name, files, message) => {
    for (const [each, text] of Object.entries(files)) await write(`${name}/${each}`, text);
    const { code, out, err } = await plugin("push", file, path(name));
    expect({ code, out, err }).toEqual({ code: 1, out: "", err: `error: ${path(name)}: ${message} [layout]` });
    for (const [each, text] of Object.entries(files)) expect(readFileSync(path(`${name}/${each}`), "utf8")).toBe(text);
    expect(readdirSync(path(name)).sort()).toEqual(Object.keys(files).sort());
  });
});

describe("what is wrong with a target or a module is said before anything is sent", () => {
  test.each([
    [
      "registry.example.com/Team/Guard:1",
      `"registry.example.com/Team/Guard:1" is no place in a registry. Write registry/name:tag, the name in lower case; for a folder put ./ before it [target]`,
    ],
    ["localhost:5000/guard:no tag", `"no tag" is no tag. A tag has up to 128 letters, digits, and . _ - [target]`],
    [
      "localhost:5000/guard@sha256:00",
      `"localhost:5000/guard@sha256:00" is no place in a registry. Write registry/name:tag, the name in lower case; for a folder put ./ before it [target]`,
    ],
  ])("%s", async (target, message) => {
    expect(await plugin("push", file, target)).toEqual({ code: 1, out: "", err: `error: ${message}` });
  });

  test("a file that is no stage", async () => {
    const other = await write("other.wasm", "not wasm");
    const { code, err } = await plugin("push", other, path("never"));
    expect(code).toBe(1);
    expect(err).toContain(`error: ${other}: The module is not valid WebAssembly`);
  });

  test("an annotation without a value", async () => {
    const { code, err } = await plugin("push", file, path("never"), "--annotation", "alone");
    expect(code).toBe(2);
    expect(err).toContain('Found "alone"; allowed: KEY=VALUE.');
  });
});

describe("to a registry", () => {
  let registry: Registry;
  beforeAll(async () => {
    registry = await Registry.start();
  });
  afterAll(() => registry.stop());

  test("it has the image under its tag, with the digest that the command said", async () => {
    const { code, out, err } = await plugin(
      "push",
      file,
      `${registry.host}/team/made:latest`,
      "--plain-http",
      "-o",
      "json",
    );
    expect({ code, err }).toEqual({ code: 0, err: "" });
    const result = JSON.parse(out);
    expect(result).toMatchObject({ target: `${registry.host}/team/made`, tag: "latest", layer });
    const reply = await registry.get("team/made/manifests/latest", MANIFEST_TYPE);
    expect(reply.headers.get("docker-content-digest")).toBe(result.digest);
    checkManifest((await reply.json()) as Record<string, unknown>);
    const stored = await registry.get(`team/made/blobs/${layer}`, "*/*");
    expect(Buffer.from(await stored.arrayBuffer()).equals(wasm)).toBe(true);
  });

  test("a second time nothing is uploaded; the default tag is the version", async () => {
    const target = `${registry.host}/again`;
    expect((await plugin("push", file, target, "--plain-http")).out).toMatch(/uploaded +\d/);
    const { out } = await plugin("push", file, target, "--plain-http");
    expect(out).toContain(`${target}:1.0.0`);
    expect(out).toContain("nothing: all was there");
  });

  test("it does not speak TLS: the command does not fall back by itself", async () => {
    const { code, err } = await plugin("push", file, `${registry.host}/made`);
    expect(code).toBe(1);
    expect(err).toBe(
      `error: ${registry.host}/made: ${registry.host} does not speak TLS. If you trust the way to it: --plain-http [unreachable]`,
    );
  });
});

describe("to a registry that asks who it is", () => {
  const auth = Buffer.from(`${USER}:${PASSWORD}`).toString("base64");
  const config = (host: string, entry: object) =>
    write("docker/config.json", JSON.stringify({ auths: { [host]: entry } }));
  const before = process.env.DOCKER_CONFIG;
  beforeAll(() => {
    process.env.DOCKER_CONFIG = path("docker");
  });
  afterAll(() => {
    if (before === undefined) delete process.env.DOCKER_CONFIG;
    else process.env.DOCKER_CONFIG = before;
  });

  describe.each(["basic", "token"] as const)("by %s", (access) => {
    let registry: Registry;
    beforeAll(async () => {
      registry = await Registry.start({ access });
    });
    afterAll(() => registry.stop());
    const push = () => plugin("push", file, `${registry.host}/made`, "--plain-http");

    test("with the login that docker left", async () => {
      await config(registry.host, { auth });
      expect(await push()).toMatchObject({ code: 0, err: "" });
      expect((await registry.get("made/manifests/1.0.0", MANIFEST_TYPE)).status).toBe(401);
    });

    test("without a login", async () => {
      await config("elsewhere.example.com", { auth });
      const { code, err } = await push();
      expect(code).toBe(1);
      expect(err).toContain(
        `: there is no login for ${registry.host} in ${path("docker/config.json")}. Log in: docker login`,
      );
      expect(err).toMatch(/answers 401.*\[unauthorized\]$/);
    });

    test("with a wrong password, which the message does not tell", async () => {
      await config(registry.host, { auth: Buffer.from(`${USER}:wrong battery`).toString("base64") });
      const { code, err } = await push();
      expect(code).toBe(1);
      expect(err).toContain(`: the login for ${registry.host} in ${path("docker/config.json")} is not enough. Log in`);
      expect(err).not.toContain("battery");
    });
  });

  test("a password for it is asked of the helper program that the configuration names", async () => {
    const registry = await Registry.start({ access: "basic" });
    const before = process.env.PATH;
    try {
      const helper = `#!/bin/sh\n[ "$(cat)" = "${registry.host}" ] && echo '${JSON.stringify({ Username: USER, Secret: PASSWORD })}'\n`;
      await run("/", [
        "-e",
        `require("fs").chmodSync(${JSON.stringify(await write("bin/docker-credential-test", helper))}, 0o755)`,
      ]);
      process.env.PATH = `${path("bin")}:${before}`;
      await write("docker/config.json", JSON.stringify({ credsStore: "test" }));
      expect(await plugin("push", file, `${registry.host}/made`, "--plain-http")).toMatchObject({ code: 0, err: "" });
      await write("docker/config.json", JSON.stringify({ credsStore: "absent" }));
      const { err } = await plugin("push", file, `${registry.host}/made`, "--plain-http");
      expect(err).toContain("docker-credential-absent gave no password");
    } finally {
      process.env.PATH = before;
      await registry.stop();
    }
  });

  test("a configuration that is no JSON", async () => {
    const registry = await Registry.start({ access: "basic" });
    try {
      await write("docker/config.json", "{");
      const { code, err } = await plugin("push", file, `${registry.host}/made`, "--plain-http");
      expect(code).toBe(1);
      expect(err).toMatch(
        /^error: .*docker\/config\.json: cannot be read: .*Repair it, or log in again \[credentials\]$/,
      );
    } finally {
      await registry.stop();
    }
  });
});

test("to a registry with a certificate of an own authority, once that is named", async () => {
  const registry = await Registry.start({ tls: true });
  try {
    const target = `${registry.host}/made`;
    const { code, err } = await plugin("push", file, target);
    expect(code).toBe(1);
    expect(err).toMatch(/cannot be reached: .*Name its authority's file in NODE_EXTRA_CA_CERTS \[unreachable\]$/);
    const trusting = await run("/", [COMMAND, "push", file, target], { NODE_EXTRA_CA_CERTS: registry.certificate });
    expect(trusting).toMatchObject({ code: 0, err: "" });
  } finally {
    await registry.stop();
  }
});

describe("to a place that is no registry", () => {
  let server: Server | undefined;
  afterEach(() => {
    server?.close();
    server = undefined;
  });
  /** Answers every connection so; never when it is undefined. */
  const listen = async (answer?: string): Promise<string> => {
    server = createServer((socket) => {
      socket.on("error", () => undefined);
      if (answer !== undefined) socket.once("data", () => socket.end(answer));
    });
    await new Promise<void>((done) => server?.listen(0, "127.0.0.1", done));
    return `127.0.0.1:${(server.address() as AddressInfo).port}`;
  };

  test("nobody listens there", async () => {
    const host = await listen();
    await new Promise((done) => server?.close(done));
    const { code, err } = await plugin("push", file, `${host}/made`, "--plain-http");
    expect(code).toBe(1);
    expect(err).toMatch(/cannot be reached: connect ECONNREFUSED.*Check its name and port \[unreachable\]$/);
  });

  test("it does not answer", async () => {
    const host = await listen();
    const { code, err } = await plugin("push", file, `${host}/made`, "--plain-http", "--timeout", "0.3");
    expect(code).toBe(1);
    expect(err).toContain(`${host} did not answer within 0.3 s. Try again, or give it longer with --timeout`);
  });

  test("it is a web server that knows nothing of it", async () => {
    const host = await listen("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    const { code, err } = await plugin("push", file, `${host}/made`, "--plain-http");
    expect(code).toBe(1);
    expect(err).toBe(
      `error: ${host}/made: answers 404. Check that ${host} is a registry and that made may be made there [not-found]`,
    );
  });

  test("it fails, in its own words", async () => {
    const body = '{"errors":[{"code":"UNKNOWN","message":"disk is full"}]}';
    const host = await listen(
      `HTTP/1.1 500 Oops\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
    );
    const { err } = await plugin("push", file, `${host}/made`, "--plain-http");
    expect(err).toContain("it answers 500");
  });
});
