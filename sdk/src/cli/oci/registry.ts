import { CommandError, messageOf, systemCode } from "../errors.js";
import { type Artifact, type Descriptor, LAYER_TYPE, MANIFEST_TYPE } from "./artifact.js";
import { Authority } from "./authority.js";
import { checkDigest, readBody } from "./body.js";
import { type Login, ownLogin } from "./credentials.js";

// OCI distribution: https://github.com/opencontainers/distribution-spec/blob/main/spec.md

export interface RegistryOptions {
  plainHttp: boolean;
  /** Longest that one request may take, its answer's content included, in milliseconds. */
  timeout: number;
  /** Default: what `docker login` left. */
  login?: Login;
}

/** Bytes of a manifest that are read: the specification's own limit. */
const MAX_MANIFEST = 4 << 20;

const BLOB = "application/octet-stream";
const DIGEST = /^sha256:[0-9a-f]{64}$/;
const UNKNOWN_TAG = "Check the registry, the name and the tag, and that it was pushed";

/** A repository in a registry. */
export class Repository {
  private readonly base: URL;
  private readonly authority: Authority;
  /** That leave is asked for. */
  private actions = "pull";

  constructor(
    private readonly registry: string,
    private readonly name: string,
    private readonly options: RegistryOptions,
  ) {
    const host = registry === "docker.io" ? "registry-1.docker.io" : registry;
    this.base = new URL(`${options.plainHttp ? "http" : "https"}://${host}/v2/${name}/`);
    this.authority = new Authority(registry, name, options.login ?? ownLogin, (url, request) =>
      this.send(url, request),
    );
  }

  /** Uploads what is not there yet, then the manifest under its tag. @returns bytes uploaded. Throws CommandError. */
  async push(tag: string, { blobs, manifest }: Artifact): Promise<number> {
    this.actions = "pull,push";
    let uploaded = 0;
    for (const { descriptor, bytes } of blobs) {
      if (await this.has(descriptor)) continue;
      await this.upload(descriptor, bytes);
      uploaded += bytes.length;
    }
    const headers = { "content-type": manifest.descriptor.mediaType };
    const reply = await this.request(`manifests/${tag}`, {
      method: "PUT",
      headers,
      body: manifest.bytes as Uint8Array<ArrayBuffer>,
    });
    await this.expect(reply, 201, "does not take the manifest");
    const digest = reply.headers.get("docker-content-digest");
    if (digest !== null && digest !== manifest.descriptor.digest) {
      throw this.error(
        "registry",
        `stored the manifest as ${digest}, not ${manifest.descriptor.digest}`,
        "Push it again",
      );
    }
    return uploaded;
  }

  /** The digest of what a tag names now, without fetching it. Throws CommandError. */
  async resolve(tag: string): Promise<string> {
    const request = { headers: { accept: MANIFEST_TYPE } };
    const reply = await this.request(`manifests/${tag}`, { ...request, method: "HEAD" });
    const digest = reply.headers.get("docker-content-digest");
    if (reply.ok && digest !== null && DIGEST.test(digest)) return digest;
    await this.expect(reply, 200, "does not say what the tag names", UNKNOWN_TAG);
    throw this.error("registry", `gives no digest of ${tag}`, "Name the module by its digest, or use another registry");
  }

  /**
   * The module of an image that sluice-plugin, or another tool of the CNCF's layout, has pushed.
   * @param digest of the image, "sha256:" and hex; all that is read is held against it
   * @param maxBytes a larger module is refused, and not read
   */
  async pull(digest: string, maxBytes: number): Promise<Uint8Array> {
    const bytes = await this.fetchContent(`manifests/${digest}`, digest, MAX_MANIFEST);
    const { layers } = this.parseManifest(bytes);
    const [layer, ...others] = layers.filter(({ mediaType }) => mediaType === LAYER_TYPE);
    if (layer === undefined || others.length > 0 || !DIGEST.test(layer.digest)) {
      const problem = `${digest} is no image of one module: it has ${layers.length} layers`;
      throw this.error("not-a-module", problem, "Push one with sluice-plugin push");
    }
    if (layer.size > maxBytes) throw this.tooLarge(maxBytes);
    return this.fetchContent(`blobs/${layer.digest}`, layer.digest, maxBytes);
  }

  private parseManifest(bytes: Uint8Array): { layers: Descriptor[] } {
    try {
      const { layers } = JSON.parse(new TextDecoder().decode(bytes)) as { layers?: Descriptor[] };
      if (Array.isArray(layers)) return { layers };
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
    }
    throw this.error("not-a-module", "has no image manifest there", "Name an image, not an index of several");
  }

  private async fetchContent(path: string, digest: string, maxBytes: number): Promise<Uint8Array> {
    const reply = await this.request(path, { headers: { accept: `${MANIFEST_TYPE}, ${BLOB}` } });
    if (!reply.ok) await this.expect(reply, 200, "does not give it", UNKNOWN_TAG);
    const bytes = await this.guarded(new URL(path, this.base), () => readBody(reply, maxBytes));
    if (bytes === undefined) throw this.tooLarge(maxBytes);
    if (checkDigest(bytes, digest)) return bytes;
    throw this.error("digest", `gives other content than ${digest}`, "Don't trust it; push the module again");
  }

  private tooLarge(maxBytes: number): CommandError {
    return this.error("too-large", `has more than the ${maxBytes} bytes that are allowed`, "Make the module smaller");
  }

  private async has({ digest }: Descriptor): Promise<boolean> {
    const reply = await this.request(`blobs/${digest}`, { method: "HEAD" });
    if (reply.status === 404) return false;
    await this.expect(reply, 200, "does not say what blobs it has");
    return true;
  }

  /** In one piece: a session first, then its content. */
  private async upload({ digest }: Descriptor, bytes: Uint8Array): Promise<void> {
    const session = await this.request("blobs/uploads/", { method: "POST" });
    await this.expect(session, 202, "does not begin an upload");
    const location = session.headers.get("location");
    if (location === null) throw this.error("registry", "began an upload without a location", "Use another registry");
    const url = new URL(location, session.url);
    url.searchParams.set("digest", digest);
    const reply = await this.request(url, {
      method: "PUT",
      headers: { "content-type": BLOB },
      body: bytes as Uint8Array<ArrayBuffer>,
    });
    await this.expect(reply, 201, "does not take a blob");
  }

  /** A request with what the registry asks for to be let in. @param path within the repository, or a URL that it named */
  private async request(path: string | URL, request: RequestInit): Promise<Response> {
    const url = new URL(path, this.base);
    const isOwn = url.origin === this.base.origin; // secrets are for the registry only
    const send = () => {
      const headers = { ...(request.headers as Record<string, string>), ...(isOwn ? this.authority.headers : {}) };
      return this.send(url, { ...request, headers });
    };
    const reply = await send();
    if (reply.status !== 401 || !isOwn) return reply;
    return (await this.authority.answer(reply, this.actions, this.options.plainHttp)) ? send() : reply;
  }

  private async send(url: URL, request: RequestInit): Promise<Response> {
    return this.guarded(url, () => fetch(url, { ...request, signal: AbortSignal.timeout(this.options.timeout) }));
  }

  private async guarded<T>(url: URL, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw this.unreachable(url, error);
    }
  }

  private unreachable({ host }: URL, error: unknown): CommandError {
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
    const code = systemCode(cause) ?? "";
    if (error instanceof Error && error.name === "TimeoutError") {
      const message = `${host} did not answer within ${this.options.timeout / 1000} s`;
      return this.error("unreachable", message, "Try again, or give it longer with --timeout");
    }
    const isPlain = code === "ERR_SSL_WRONG_VERSION_NUMBER" || code === "ERR_SSL_PACKET_LENGTH_TOO_LONG";
    if (isPlain)
      return this.error("unreachable", `${host} does not speak TLS`, "If you trust the way to it: --plain-http");
    const isUntrusted = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY/.test(code);
    const remedy = isUntrusted ? "Name its authority's file in NODE_EXTRA_CA_CERTS" : "Check its name and port";
    return this.error("unreachable", `${host} cannot be reached: ${messageOf(cause)}`, remedy);
  }

  private async expect(reply: Response, status: number, what: string, unknown?: string): Promise<void> {
    if (reply.status === status) {
      await reply.arrayBuffer(); // frees the connection
      return;
    }
    const said = `answers ${reply.status}${await errorText(reply)}`;
    switch (reply.status) {
      case 401:
      case 403:
        throw this.error("unauthorized", `${said}: ${this.authority.state}`, this.authority.remedy);
      case 404: {
        const remedy = unknown ?? `Check that ${this.registry} is a registry and that ${this.name} may be made there`;
        throw this.error("not-found", said, remedy);
      }
      default:
        throw this.error("registry", `${what}: it ${said}`, "Try again, or see the registry's own log");
    }
  }

  private error(code: string, problem: string, remedy: string): CommandError {
    return new CommandError(code, problem, remedy, `${this.registry}/${this.name}`);
  }
}

/** What a registry says of an error, in its own words. */
async function errorText(reply: Response): Promise<string> {
  const text = await reply.text();
  try {
    const { errors = [] } = JSON.parse(text) as { errors?: { code?: string; message?: string }[] };
    const said = errors.map(({ code, message }) => message ?? code ?? "").filter((each) => each !== "");
    return said.length === 0 ? "" : ` (${said.join("; ")})`;
  } catch {
    return ""; // a proxy's page, or nothing: the status says it
  }
}
