import type { PluginVersion } from "../cluster/records.js";
import { hashOf, withId } from "../cluster/versions.js";
import { ConfigDocument } from "../config/document.js";
import { SluiceError } from "../errors.js";
import type { KubeApi } from "../kube/api.js";
import { hasKubeCode } from "../kube/errors.js";
import type { ObjectPath } from "../kube/object-watches.js";
import { type BuiltModule, digestOf, inspect, textPlacedIn } from "../plugins/builder.js";
import { COMPILE_LIMITS } from "../plugins/compiler.js";
import type { Compilers } from "../plugins/compilers.js";
import { checkPluginConfig } from "../plugins/config-schema.js";
import { FETCH_LIMITS, type FetchLimits, fetchUrl, OciModule } from "../plugins/fetch.js";
import { loadModule } from "../plugins/own.js";
import type { Parsed } from "../resources/parse.js";
import type { OwnModule, PluginSpecification } from "../resources/plugin.js";
import type { KeyReference, ObjectReference } from "../resources/values.js";
import type { ModuleStore } from "../store/module-store.js";
import type { Condition } from "../store/transaction.js";
import { VERSION } from "../version.js";

/** What a Plugin's module may take, in milliseconds. */
export interface PluginLimits {
  /** Of CPU time, for a source. */
  readonly compileMs: number;
  /** Of a request for it. */
  readonly fetchMs: number;
}

export const PLUGIN_LIMITS: PluginLimits = { compileMs: COMPILE_LIMITS.timeMs, fetchMs: FETCH_LIMITS.timeMs };

export interface PluginVersionsOptions {
  readonly api: KubeApi;
  readonly modules: ModuleStore;
  readonly compilers: Compilers;
  /** Of what is fetched. */
  readonly limits: FetchLimits;
  /** On which modules are written. */
  readonly fence: Condition;
}

/** A source that was looked at, not yet fetched where it is far away. */
interface Found {
  /** The same for what makes the same module. */
  readonly key: string;
  readonly origin: string;
  /** Of a text that is compiled: where its author finds it. */
  readonly place?: string;
  readonly module: () => Promise<BuiltModule>;
}

type CheckedModule = Pick<BuiltModule, "digest" | "manifest">;

/** Manifests that are kept at hand: a change of a configuration reads no module. */
const MAX_MANIFESTS = 256;

/** ConfigMaps and Secrets, as far as they are read. */
interface KeyedObject {
  readonly data?: Record<string, string>;
  readonly binaryData?: Record<string, string>;
}

/** What was made already. */
export interface Made {
  /** The digest of the module of a source, by its key. */
  readonly digestOf: (source: string) => string | undefined;
  /** Digests of the modules that the Plugin had, oldest first. */
  readonly earlier: readonly string[];
}

/** Makes versions of Plugins: fetches or compiles their modules, checks them and their configurations. */
export class PluginVersions {
  /** By the source's key: what several Plugins have is made once. */
  private readonly inWork = new Map<string, Promise<CheckedModule>>();
  /** By digest, of modules that are in etcd. */
  private readonly manifests = new Map<string, BuiltModule["manifest"]>();

  constructor(private readonly options: PluginVersionsOptions) {}

  /**
   * @param made a module that comes from the same source is not made again
   * @throws SluiceError with every problem's place in the Plugin or its source
   */
  async make(plugin: Parsed<PluginSpecification>, made: Made): Promise<PluginVersion> {
    const { spec, generation } = plugin;
    const found = await this.find(plugin, made.earlier);
    const module = (await this.known(found, made)) ?? (await this.makeOnce(found));
    const config = await this.config(spec);
    const hooks = hooksOf(spec, module);
    const place = spec.configFrom === undefined ? "/spec/config" : "/spec/configFrom";
    const problems = spec.replaces === undefined ? checkPluginConfig(module.manifest, config, place) : [];
    if (problems.length > 0) throw withoutSecrets(new SluiceError(problems), spec);
    const { source: _, hooks: __, configFrom: ___, config: ____, ...settings } = spec;
    return withId(plugin.uid, {
      ...settings,
      ...(config === undefined ? {} : { config }),
      generation,
      digest: module.digest,
      origin: found.origin,
      source: found.key,
      hooks,
    });
  }

  private async known({ key, origin }: Found, made: Made): Promise<CheckedModule | undefined> {
    const digest = made.digestOf(key);
    if (digest === undefined || !(await this.options.modules.has(digest))) return undefined;
    return this.stored(digest, origin);
  }

  private async stored(digest: string, origin: string): Promise<CheckedModule> {
    const manifest = this.manifests.get(digest) ?? (await inspect(await this.options.modules.get(digest), origin));
    this.remember(digest, manifest);
    return { digest, manifest };
  }

  private remember(digest: string, manifest: BuiltModule["manifest"]): void {
    this.manifests.delete(digest);
    this.manifests.set(digest, manifest);
    for (const oldest of [...this.manifests.keys()].slice(0, -MAX_MANIFESTS)) this.manifests.delete(oldest);
  }

  private async makeOnce(found: Found): Promise<CheckedModule> {
    const inWork = this.inWork.get(found.key) ?? this.made(found).finally(() => this.inWork.delete(found.key));
    this.inWork.set(found.key, inWork);
    try {
      return await inWork;
    } catch (error) {
      // Of the same text in another Plugin the place is another one.
      throw error instanceof SluiceError && found.place !== undefined ? textPlacedIn(found.place, error) : error;
    }
  }

  private async made(found: Found): Promise<CheckedModule> {
    const module = await found.module();
    const { modules, fence, limits } = this.options;
    if (module.wasm.length > limits.bytes) {
      const message = `the module has ${module.wasm.length} bytes; allowed: ${limits.bytes}`;
      throw SluiceError.of("module-too-large", found.origin, message);
    }
    if (!(await modules.has(module.digest))) await modules.put(module.wasm, [fence]);
    this.remember(module.digest, module.manifest);
    return module;
  }

  private async find({ name, spec }: Parsed<PluginSpecification>, earlier: readonly string[]): Promise<Found> {
    const { inline, configMap, url, oci, own, digest } = spec.source;
    if (own !== undefined) return ownModule(own);
    if (digest !== undefined) return this.earlierModule(digest, earlier);
    if (inline !== undefined) return this.text(inline, `Plugin ${name} /spec/source/inline`, "inline");
    if (configMap !== undefined) return this.inConfigMap(configMap);
    if (url !== undefined) {
      // Its digest alone is what somebody says: who says the same of another module must not get its error.
      return {
        key: hashOf(url.url, url.sha256),
        origin: url.url,
        module: async () => binary(await fetchUrl(url, this.options.limits), url.url),
      };
    }
    if (oci === undefined) throw SluiceError.of("invalid-spec", "/spec/source", "found no source");
    return this.inRegistry(oci);
  }

  private earlierModule(digest: string, earlier: readonly string[]): Found {
    if (!earlier.includes(digest)) {
      const known = earlier.length === 0 ? "it has had none" : `it has had ${[...new Set(earlier)].join(", ")}`;
      throw SluiceError.of("not-found", "/spec/source/digest", `no earlier version had this module; ${known}`);
    }
    const origin = `earlier module ${digest.slice(0, 12)}`;
    return { key: digest, origin, module: async () => binary(await this.options.modules.get(digest), origin) };
  }

  private text(source: string, place: string, origin: string): Found {
    // Another version of the compiler makes another module of it.
    return { key: hashOf(VERSION, source), origin, place, module: () => this.options.compilers.compile({ source }) };
  }

  private async inConfigMap(reference: KeyReference): Promise<Found> {
    const path = "/spec/source/configMap";
    const { data, binaryData } = await this.read("configmaps", reference, path);
    const origin = `ConfigMap ${reference.namespace}/${reference.name} ${reference.key}`;
    const base64 = binaryData?.[reference.key];
    if (base64 === undefined) return this.text(keyed(data, reference, path), origin, origin);
    const wasm = Buffer.from(base64, "base64");
    return { key: digestOf(wasm), origin, module: () => binary(wasm, origin) };
  }

  private async inRegistry(oci: NonNullable<PluginSpecification["source"]["oci"]>): Promise<Found> {
    const { reference, pullPolicy, pullSecret } = oci;
    const module = new OciModule(oci, pullSecret && (await this.pullSecret(pullSecret)), this.options.limits);
    const fetched = async () => binary(await module.pull(await module.resolve()), reference);
    if (pullPolicy === "IfNotPresent") return { key: hashOf(reference), origin: reference, module: fetched };
    const digest = await module.resolve();
    const pulled = async () => binary(await module.pull(digest), reference);
    return { key: hashOf(digest), origin: reference, module: pulled };
  }

  private async pullSecret(reference: ObjectReference) {
    const path = "/spec/source/oci/pullSecret";
    const key = ".dockerconfigjson";
    const { data } = await this.read("secrets", reference, path);
    const text = Buffer.from(keyed(data, { ...reference, key }, path), "base64").toString();
    return { name: `${reference.namespace}/${reference.name}`, text };
  }

  private async config(spec: PluginSpecification): Promise<PluginVersion["config"]> {
    const { config, configFrom } = spec;
    if (configFrom === undefined) return config;
    const { configMap, secret } = configFrom;
    const reference = configMap ?? secret;
    if (reference === undefined) return config;
    const path = `/spec/configFrom/${configMap === undefined ? "secret" : "configMap"}`;
    const { data } = await this.read(configMap === undefined ? "secrets" : "configmaps", reference, path);
    const found = keyed(data, reference, path);
    const text = configMap === undefined ? Buffer.from(found, "base64").toString() : found;
    const value = parseConfig(text, `${reference.namespace}/${reference.name} ${reference.key}`, spec);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
    throw SluiceError.of("invalid-plugin-config", path, `key ${reference.key} is no mapping; allowed: YAML or JSON`);
  }

  private async read(kind: "configmaps" | "secrets", reference: ObjectReference, path: string) {
    const { namespace, name } = reference;
    const { collection } = objectPath(kind, reference);
    try {
      return await this.options.api.get<KeyedObject>(`${collection}/${name}`);
    } catch (error) {
      if (!(error instanceof SluiceError)) throw error;
      const what = `${kind === "secrets" ? "Secret" : "ConfigMap"} ${namespace}/${name}`;
      if (hasKubeCode(error, "kube-not-found")) throw SluiceError.of("not-found", path, `there is no ${what}`);
      const message = `${what} can't be read: ${error.message}; may ServiceAccount kube-system/sluice-reflector get and watch it?`;
      throw SluiceError.of("not-readable", path, message, { cause: error });
    }
  }
}

/** What else than the Plugin itself its version is made of, and is followed. */
export function sourcesOf({ source, configFrom }: PluginSpecification): ObjectPath[] {
  const { configMap, secret } = configFrom ?? {};
  return [
    ...[source.configMap, configMap].flatMap((each) => (each === undefined ? [] : [objectPath("configmaps", each)])),
    ...[source.oci?.pullSecret, secret].flatMap((each) => (each === undefined ? [] : [objectPath("secrets", each)])),
  ];
}

const objectPath = (kind: "configmaps" | "secrets", { namespace, name }: ObjectReference): ObjectPath => ({
  collection: `/api/v1/namespaces/${namespace}/${kind}`,
  name,
});

function keyed(data: Record<string, string> | undefined, { namespace, name, key }: KeyReference, path: string): string {
  const value = data?.[key];
  if (value !== undefined && value !== "") return value;
  const known = Object.keys(data ?? {}).join(", ") || "it has none";
  throw SluiceError.of("not-found", `${path}/key`, `${namespace}/${name} has no key ${key}; its keys: ${known}`);
}

function parseConfig(text: string, place: string, spec: PluginSpecification): unknown {
  try {
    return ConfigDocument.parse(text, place).value();
  } catch (error) {
    throw error instanceof SluiceError ? withoutSecrets(error, spec) : error;
  }
}

/** Messages say what they found, which nobody may read in a status if it is of a Secret. */
function withoutSecrets(error: SluiceError, { configFrom }: PluginSpecification): SluiceError {
  if (configFrom?.secret === undefined) return error;
  const message = "not as it must be; what is there is a secret, and not told";
  return new SluiceError(error.problems.map(({ code, path }) => ({ code, path, message })));
}

function hooksOf({ hooks }: PluginSpecification, { manifest }: CheckedModule): PluginVersion["hooks"] {
  const problems = (hooks ?? []).flatMap((hook, index) =>
    manifest.hooks.includes(hook)
      ? []
      : [
          {
            code: "no-such-hook",
            path: `/spec/hooks/${index}`,
            message: `found ${hook}; the module has ${manifest.hooks.join(", ")}`,
          },
        ],
  );
  if (problems.length > 0) throw new SluiceError(problems);
  return [...(hooks ?? manifest.hooks)];
}

function ownModule(name: OwnModule): Found {
  const { digest, wasm } = loadModule(name);
  const origin = `Sluice's own ${name}`;
  return { key: digest, origin, module: () => binary(wasm, origin) };
}

async function binary(wasm: Uint8Array, origin: string): Promise<BuiltModule> {
  return { wasm, digest: digestOf(wasm), manifest: await inspect(wasm, origin), origin };
}
