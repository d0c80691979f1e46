import { explainIssues } from "../config/explain.js";
import { type NodeSpec, type PluginSpec, pluginSpecSchema } from "../config/schema.js";
import { suggestion } from "../config/suggest.js";
import { messageOf, SluiceError } from "../errors.js";
import { type History, rollbackTarget, rolledBack } from "../plugins/history.js";
import type { PluginChange } from "./protocol.js";

export type Histories = Readonly<Record<string, History>>;

/** A node with plugin changes made in it, not yet applied. */
export interface Changed {
  readonly spec: NodeSpec;
  /** Histories with what was rolled back from taken off. */
  readonly histories: Histories;
  /** Names of the plugins that have another module or configuration than before. */
  readonly touched: readonly string[];
}

/**
 * Makes all changes, one after the other.
 * @throws SluiceError when one of them can't be made: unknown or taken names, no such revision
 */
export function changePlugins(spec: NodeSpec, histories: Histories, changes: readonly PluginChange[]): Changed {
  if (changes.length === 0)
    throw SluiceError.of("invalid-change", "", "no change was asked for; name at least one plugin");
  refuseRepeats(changes);
  let changed: Changed = { spec, histories, touched: [] };
  for (const change of changes) changed = changeOne(changed, change);
  return changed;
}

function changeOne(state: Changed, change: PluginChange): Changed {
  if ("load" in change) return load(state, parsePlugin(change.load.pluginJson));
  if ("swap" in change) return swap(state, change.swap);
  if ("unload" in change) return unload(state, change.unload.name);
  return rollBack(state, change.rollback.name, change.rollback.revision);
}

function load(state: Changed, plugin: PluginSpec): Changed {
  if (state.spec.plugins.some(({ name }) => name === plugin.name)) {
    throw SluiceError.of(
      "plugin-exists",
      `/plugins/${plugin.name}`,
      `a plugin "${plugin.name}" is loaded; use plugin swap, or another name`,
    );
  }
  return withPlugins(state, [...state.spec.plugins, plugin], plugin.name);
}

function swap(
  state: Changed,
  { name, digest, origin, configJson, resetFlowState }: Extract<PluginChange, { swap: object }>["swap"],
): Changed {
  const old = find(state.spec, name);
  const config =
    configJson === undefined
      ? old.config
      : parsePlugin(JSON.stringify({ ...old, config: parseJson(configJson, name) })).config;
  const plugin = { ...old, digest: digest ?? old.digest, origin: origin ?? old.origin, resetFlowState };
  if (config === undefined) return replaced(state, plugin);
  return replaced(state, { ...plugin, config });
}

function unload(state: Changed, name: string): Changed {
  find(state.spec, name);
  const pipeline = Object.fromEntries(
    Object.entries(state.spec.pipeline).map(([hook, order]) => [hook, order?.filter((listed) => listed !== name)]),
  );
  const { [name]: _, ...histories } = state.histories;
  const plugins = state.spec.plugins.filter((plugin) => plugin.name !== name);
  return { spec: { ...state.spec, pipeline, plugins }, histories, touched: state.touched };
}

function rollBack(state: Changed, name: string, revision: number | undefined): Changed {
  find(state.spec, name);
  const history = state.histories[name] ?? [];
  const target = rollbackTarget(history, revision);
  if (target === undefined) {
    const earlier = history.slice(0, -1).map(({ number }) => number);
    const allowed = earlier.length === 0 ? "the plugin has no earlier version" : `allowed: ${earlier.join(", ")}`;
    const wanted = revision === undefined ? "nothing to roll back to" : `no earlier revision ${revision}`;
    throw SluiceError.of("no-such-revision", `/plugins/${name}`, `${wanted}; ${allowed}`);
  }
  const changed = replaced(state, target.plugin);
  return { ...changed, histories: { ...state.histories, [name]: rolledBack(history, target) } };
}

function replaced(state: Changed, plugin: PluginSpec): Changed {
  const plugins = state.spec.plugins.map((old) => (old.name === plugin.name ? plugin : old));
  return withPlugins(state, plugins, plugin.name);
}

function withPlugins(state: Changed, plugins: PluginSpec[], touched: string): Changed {
  return { ...state, spec: { ...state.spec, plugins }, touched: [...state.touched, touched] };
}

function find(spec: NodeSpec, name: string): PluginSpec {
  const plugin = spec.plugins.find((candidate) => candidate.name === name);
  if (plugin !== undefined) return plugin;
  const names = spec.plugins.map((candidate) => candidate.name);
  const loaded = names.length === 0 ? "none is" : names.join(", ");
  throw SluiceError.of(
    "unknown-plugin",
    `/plugins/${name}`,
    `no plugin "${name}" is loaded${suggestion(name, names)}; loaded: ${loaded}`,
  );
}

function refuseRepeats(changes: readonly PluginChange[]): void {
  const seen = new Set<string>();
  for (const change of changes) {
    const name = nameOf(change);
    if (seen.has(name))
      throw SluiceError.of("invalid-change", `/plugins/${name}`, "it is changed twice; name each plugin once");
    seen.add(name);
  }
}

function nameOf(change: PluginChange): string {
  if ("load" in change) return parsePlugin(change.load.pluginJson).name;
  if ("swap" in change) return change.swap.name;
  return "unload" in change ? change.unload.name : change.rollback.name;
}

/** @throws SluiceError with pointers into the plugin */
export function parsePlugin(json: string): PluginSpec {
  const value = parseJson(json, "");
  const parsed = pluginSpecSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new SluiceError(explainIssues(parsed.error.issues, value).map(({ problem }) => problem));
}

function parseJson(text: string, plugin: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw SluiceError.of("invalid-plugin-config", `/plugins/${plugin}/config`, `no JSON: ${messageOf(error)}`, {
      cause: error,
    });
  }
}
