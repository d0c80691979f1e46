import { checkDigest, credentialsIn, type DockerConfig, type Login, Repository, readBody } from "@sluice/sdk/oci";
import { messageOf, SluiceError } from "../errors.js";
import type { PluginSource } from "../resources/plugin.js";

export interface FetchLimits {
  /** Milliseconds of one request, its answer's content included. */
  readonly timeMs: number;
  /** Of a module; nothing larger is read. */
  readonly bytes: number;
}

/** A policy of 4096 rules compiles to a tenth of it. */
export const FETCH_LIMITS: FetchLimits = { timeMs: 30_000, bytes: 4 << 20 };

type UrlSource = NonNullable<PluginSource["url"]>;
type OciSource = NonNullable<PluginSource["oci"]>;

/** What a pull secret holds under ".dockerconfigjson", and its name. */
export interface PullSecret {
  readonly name: string;
  readonly text: string;
}

/**
 * A module from an HTTP server, held against its digest.
 * @throws SluiceError "fetch-failed", "module-too-large", "digest-mismatch", with the field's path
 */
export async function fetchUrl({ url, sha256 }: UrlSource, limits: FetchLimits = FETCH_LIMITS): Promise<Uint8Array> {
  const path = "/spec/source/url/url";
  const { host } = new URL(url);
  let bytes: Uint8Array | undefined;
  try {
    const reply = await fetch(url, { signal: AbortSignal.timeout(limits.timeMs) });
    if (!reply.ok) {
      await reply.body?.cancel();
      throw SluiceError.of("fetch-failed", path, `${host} answers ${reply.status}; is the module there?`);
    }
    bytes = await readBody(reply, limits.bytes);
  } catch (error) {
    throw error instanceof SluiceError ? error : unreachable(path, host, error, limits);
  }
  if (bytes === undefined) throw tooLarge(path, limits);
  if (checkDigest(bytes, `sha256:${sha256}`)) return bytes;
  const message = `${url} has other content than the digest says: name the digest of the module that is meant, or don't trust the server`;
  throw SluiceError.of("digest-mismatch", "/spec/source/url/sha256", message);
}

/** A module in a registry. Requests are tried once. All methods throw SluiceError with the field's path. */
export class OciModule {
  private readonly repository: Repository;
  private readonly tag: string | undefined;
  private readonly digest: string | undefined;

  constructor(
    source: OciSource,
    secret?: PullSecret,
    private readonly limits: FetchLimits = FETCH_LIMITS,
  ) {
    const { registry = "", name = "", tag, digest } = REFERENCE.exec(source.reference)?.groups ?? {};
    this.tag = tag;
    this.digest = digest;
    const login = loginOf(secret);
    const options = { plainHttp: source.plainHttp, timeout: limits.timeMs, login };
    this.repository = new Repository(registry, name, options);
  }

  /** What it names now, "sha256:" and hex; a digest in it holds whatever its tag names. */
  async resolve(): Promise<string> {
    return this.digest ?? this.asked(() => this.repository.resolve(this.tag ?? "latest"));
  }

  /** @param digest as resolve() gave it */
  pull(digest: string): Promise<Uint8Array> {
    return this.asked(() => this.repository.pull(digest, this.limits.bytes));
  }

  private async asked<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw isCommandError(error) ? fromRegistry(error, this.limits) : error;
    }
  }
}

const REFERENCE = /^(?<registry>[^/]+)\/(?<name>[^:@]+)(:(?<tag>[^@]+))?(@(?<digest>sha256:[0-9a-f]{64}))?$/;
const OCI_PATH = "/spec/source/oci";

function loginOf(secret: PullSecret | undefined): Login {
  const place = secret === undefined ? "the Plugin, which names no pull secret" : `pull secret ${secret.name}`;
  const remedy = (registry: string) => `Name a pull secret with a login for ${registry} that may pull`;
  const config = secret === undefined ? {} : parseConfig(secret);
  return { place, remedy, find: async (registry) => credentialsIn(config, registry) };
}

/** Its text is a secret: no message has any of it. */
function parseConfig({ name, text }: PullSecret): DockerConfig {
  try {
    const { auths } = JSON.parse(text) as DockerConfig;
    if (typeof auths === "object" && auths !== null) return { auths };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  const message = `${name} has no .dockerconfigjson with logins; make it with kubectl create secret docker-registry`;
  throw SluiceError.of("bad-pull-secret", `${OCI_PATH}/pullSecret`, message);
}

/** As the SDK's registry client throws it. */
interface CommandError extends Error {
  readonly code: string;
  readonly problem: string;
  readonly remedy: string;
}

const isCommandError = (error: unknown): error is CommandError =>
  error instanceof Error && error.name === "CommandError";

function fromRegistry(error: CommandError, limits: FetchLimits): SluiceError {
  const { code, problem, remedy } = error;
  const path = `${OCI_PATH}/${code === "unauthorized" ? "pullSecret" : "reference"}`;
  if (code === "too-large") return tooLarge(path, limits);
  if (code === "digest") return SluiceError.of("digest-mismatch", path, `the registry ${problem}; ${lower(remedy)}`);
  // Its remedies are those of a command line.
  const advice = code === "unreachable" ? "can the reflector reach it? It is tried again" : lower(remedy);
  return SluiceError.of("fetch-failed", path, `${problem}; ${advice}`, { cause: error });
}

function unreachable(path: string, host: string, error: unknown, { timeMs }: FetchLimits): SluiceError {
  const isLate = error instanceof Error && error.name === "TimeoutError";
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  const message = isLate ? `did not answer within ${timeMs / 1000} s` : `can't be reached: ${messageOf(cause)}`;
  return SluiceError.of("fetch-failed", path, `${host} ${message}; it is tried again`, { cause: error });
}

function tooLarge(path: string, { bytes }: FetchLimits): SluiceError {
  return SluiceError.of("module-too-large", path, `the module has more than the ${bytes} bytes that are allowed`);
}

const lower = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1);
