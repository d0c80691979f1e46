import { resolve } from "node:path";
import { ConfigDocument } from "../config/document.js";
import type { LoadedNodeFile } from "../config/load.js";
import type { NodeFile, NodeSpec, PluginFile, PluginSpec } from "../config/schema.js";
import { SluiceError } from "../errors.js";
import { readText } from "../readable-file.js";
import { type BuiltModule, buildModule } from "./builder.js";
import { checkPluginConfig } from "./config-schema.js";

export interface ResolvedNode {
  readonly spec: NodeSpec;
  /** By digest. */
  readonly modules: ReadonlyMap<string, BuiltModule>;
}

/**
 * A node file's plugins read or compiled, and their configuration checked against their manifests.
 * @throws SluiceError with every problem of every plugin, placed in the file
 */
export async function resolveNode({ node, folder, locate }: LoadedNodeFile): Promise<ResolvedNode> {
  const modules = new Map<string, BuiltModule>();
  const results = await Promise.allSettled(
    node.plugins.map(async (plugin, index) => {
      const { spec, module } = await resolvePlugin(plugin, folder, `/plugins/${index}`);
      modules.set(spec.digest, module);
      return spec;
    }),
  );
  const problems = results.flatMap((result) => {
    if (result.status === "fulfilled") return [];
    if (!(result.reason instanceof SluiceError)) throw result.reason;
    return result.reason.problems.map(locate);
  });
  if (problems.length > 0) throw new SluiceError(problems);
  const plugins = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  return { spec: { ...withPaths(node, folder), plugins }, modules };
}

/** Relative paths start at the file's folder, as the dataplane's own folder is not known to its author. */
function withPaths(node: NodeFile, folder: string): NodeFile {
  const from = (path: string) => resolve(folder, path);
  const { stateDir, cacheDir, conntrack } = node;
  const ports = node.ports.map((port) => {
    if (port.kind === "memif") return { ...port, socket: from(port.socket) };
    if (port.kind !== "pcap") return port;
    const { pcapRx, pcapTx, ...rest } = port;
    return { ...rest, ...(pcapRx && { pcapRx: from(pcapRx) }), ...(pcapTx && { pcapTx: from(pcapTx) }) };
  });
  return {
    ...node,
    ports,
    conntrack: { ...conntrack, ...(conntrack.file && { file: from(conntrack.file) }) },
    ...(stateDir && { stateDir: from(stateDir) }),
    ...(cacheDir && { cacheDir: from(cacheDir) }),
  };
}

async function resolvePlugin(
  plugin: PluginFile,
  folder: string,
  at: string,
): Promise<{ spec: PluginSpec; module: BuiltModule }> {
  const { source, module: moduleFile, config: inline, configFile, ...rest } = plugin;
  const config = configFile === undefined ? inline : await readConfigFile(resolve(folder, configFile));
  const module = await buildModule(resolve(folder, source ?? moduleFile ?? ""));
  const problems = checkPluginConfig(module.manifest, config, `${at}/config`);
  if (problems.length > 0) {
    throw new SluiceError(
      problems.map((problem) => ({ ...problem, path: inConfigFile(problem.path, at, configFile) })),
    );
  }
  const spec = { ...rest, digest: module.digest, origin: module.origin };
  return { spec: config === undefined ? spec : { ...spec, config }, module };
}

/** YAML or JSON. */
export async function readConfigFile(file: string): Promise<NonNullable<PluginSpec["config"]>> {
  const value = ConfigDocument.parse(await readText(file), file).value();
  if (value === undefined || value === null)
    throw SluiceError.of("invalid-config", file, "the file is empty; allowed: YAML or JSON");
  return value as NonNullable<PluginSpec["config"]>;
}

function inConfigFile(path: string, at: string, configFile: string | undefined): string {
  return configFile === undefined ? path : `${configFile} ${path.slice(`${at}/config`.length) || "/"}`;
}
