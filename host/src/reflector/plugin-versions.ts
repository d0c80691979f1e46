import { createHash } from "node:crypto";
import type { PluginVersion } from "../cluster/records.js";
import { ConfigDocument } from "../config/document.js";
import { SluiceError } from "../errors.js";
import type { KubeApi } from "../kube/api.js";
import { hasKubeCode } from "../kube/errors.js";
import { type BuiltModule, digestOf, inspect } from "../plugins/builder.js";
import type { Compiler } from "../plugins/compiler.js";
import { checkPluginConfig } from "../plugins/config-schema.js";
import { FETCH_LIMITS, fetchUrl, OciModule } from "../plugins/fetch.js";
import type { Parsed } from "../resources/parse.js";
import type { PluginSpecification } from "../resources/plugin.js";
import type { KeyReference, ObjectReference } from "../resources/values.js";
import type { ModuleStore } from "../store/module-store.js";
import type { Condition } from "../store/transaction.js";
import { VERSION } from "../version.js";

export interface PluginVersionsOptions {
  readonly api: KubeApi;
  readonly modules: ModuleStore;
  readonly compiler: Compiler;
  /** On which modules are written. */
  readonly fence: Condition;
}

/** A source that was looked at, not yet fetched where it is far away. */
interface Found {
  /** The same for what makes the same module. */
  readonly key: string;
  readonly origin: string;
  readonly module: () => Promise<BuiltModule>;
}

/** ConfigMaps and Secrets, as far as they are read. */
interface KeyedObject {
  readonly data?: Record<string, string>;
  readonly binaryData?: Record<string, string>;
}

/** Makes versions of Plugins: fetches or compiles their modules, checks them and their configurations. */
export class PluginVersions {
  constructor(private readonly options: PluginVersionsOptions) {}

  /**
   * @param before the last version: a module that comes from the same source is not made again
   * @throws SluiceError with every problem's place in the Plugin or its source
   */
  async make(plugin: Parsed<PluginSpecification>, before: PluginVersion | undefined): Promise<PluginVersion> {
    const { spec, generation } = plugin;
    const found = await this.find(plugin);
    const module = (await this.known(found, before)) ?? (await this.made(found));
    const config = await this.config(spec);
    const hooks = hooksOf(spec, module);
    const place = spec.configFrom === undefined ? "/spec/config" : "/spec/configFrom";
    const problems = spec.replaces === undefined ? checkPluginConfig(module.manifest, config, place) : [];
    if (problems.length > 0) throw withoutSecrets(new SluiceError(problems), spec);
    const { source: _, hooks: __, configFrom: ___, config: ____, ...settings } = spec;
    return {
      ...settings,
      ...(config === undefined ? {} : { config }),
      generation,
      digest: module.digest,
      origin: found.origin,
      source: found.key,
      hooks,
    };
  }

  private async known({ key, origin }: Found, before: PluginVersion | undefined): Promise<BuiltModule | undefined> {
    if (before?.source !== key || !(await this.options.modules.has(before.digest))) return undefined;
    const wasm = await this.options.modules.get(before.digest);
    return { wasm, digest: before.digest, manifest: await inspect(wasm, origin), origin };
  }

  private async made(found: Found): Promise<BuiltModule> {
    const module = await found.module();
    if (module.wasm.length > FETCH_LIMITS.bytes) {
      const message = `the module has ${module.wasm.length} bytes; allowed: ${FETCH_LIMITS.bytes}`;
      throw SluiceError.of("module-too-large", found.origin, message);
    }
    const { modules, fence } = this.options;
    if (!(await modules.has(module.digest))) await modules.put(module.wasm, [fence]);
    return module;
  }

  private async find({ name, spec }: Parsed<PluginSpecification>): Promise<Found> {
    const { inline, configMap, url, oci } = spec.source;
    if (inline !== undefined) return this.text(inline, name, "inline");
    if (configMap !== undefined) return this.inConfigMap(configMap, name);
    if (url !== undefined) {
      return { key: url.sha256, origin: url.url, module: async () => binary(await fetchUrl(url), url.url) };
    }
    if (oci === undefined) throw SluiceError.of("invalid-spec", "/spec/source", "found no source");
    return this.inRegistry(oci);
  }

  private text(source: string, name: string, origin: string): Found {
    // Another version of the compiler makes another module of it.
    return { key: keyOf(VERSION, source), origin, module: () => this.options.compiler.compile({ source, name }) };
  }

  private async inConfigMap(reference: KeyReference, name: string): Promise<Found> {
    const path = "/spec/source/configMap";
    const { data, binaryData } = await this.read("configmaps", reference, path);
    const origin = `ConfigMap ${reference.namespace}/${reference.name} ${reference.key}`;
    const base64 = binaryData?.[reference.key];
    if (base64 === undefined) return this.text(keyed(data, reference, path), name, origin);
    const wasm = Buffer.from(base64, "base64");
    return { key: digestOf(wasm), origin, module: () => binary(wasm, origin) };
  }

  private async inRegistry(oci: NonNullable<PluginSpecification["source"]["oci"]>): Promise<Found> {
    const { reference, pullPolicy, pullSecret } = oci;
    const module = new OciModule(oci, pullSecret && (await this.pullSecret(pullSecret)));
    const fetched = async () => binary(await module.pull(await module.resolve()), reference);
    if (pullPolicy === "IfNotPresent") return { key: keyOf(reference), origin: reference, module: fetched };
    const digest = await module.resolve();
    const pulled = async () => binary(await module.pull(digest), reference);
    return { key: keyOf(digest), origin: reference, module: pulled };
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

  private async read(kind: "configmaps" | "secrets", { namespace, name }: ObjectReference, path: string) {
    try {
      return await this.options.api.get<KeyedObject>(`/api/v1/namespaces/${namespace}/${kind}/${name}`);
    } catch (error) {
      if (!(error instanceof SluiceError)) throw error;
      const what = `${kind === "secrets" ? "Secret" : "ConfigMap"} ${namespace}/${name}`;
      if (hasKubeCode(error, "kube-not-found")) throw SluiceError.of("not-found", path, `there is no ${what}`);
      const message = `${what} can't be read: ${error.message}; may ServiceAccount kube-system/sluice-reflector get it?`;
      throw SluiceError.of("not-readable", path, message, { cause: error });
    }
  }
}

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

function hooksOf({ hooks }: PluginSpecification, { manifest }: BuiltModule): PluginVersion["hooks"] {
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

async function binary(wasm: Uint8Array, origin: string): Promise<BuiltModule> {
  return { wasm, digest: digestOf(wasm), manifest: await inspect(wasm, origin), origin };
}

const keyOf = (...parts: string[]): string => createHash("sha256").update(parts.join("\0")).digest("hex");
