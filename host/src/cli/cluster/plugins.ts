import { suggestion } from "../../config/suggest.js";
import { SluiceError } from "../../errors.js";
import type { KubeApi } from "../../kube/api.js";
import { hasKubeCode } from "../../kube/errors.js";
import type { PastVersion } from "../../resources/status.js";
import { type PluginObject, SLUICE_API, sluiceObjects } from "./facts.js";

/** Versions that nodes were given, oldest first. */
export const historyOf = ({ status }: PluginObject): readonly PastVersion[] => status?.history ?? [];

/** @throws SluiceError "unknown-plugin", naming those that there are */
export async function readPlugin(api: KubeApi, name: string): Promise<PluginObject> {
  try {
    return await api.get<PluginObject>(pathOf(name));
  } catch (error) {
    if (!hasKubeCode(error, "kube-not-found")) throw error;
    const known = (await sluiceObjects<PluginObject>(api, "plugins")).map(({ metadata }) => metadata.name);
    const there = known.length === 0 ? "there is none" : `there are: ${known.join(", ")}`;
    throw SluiceError.of("unknown-plugin", name, `no such Plugin${suggestion(name, known)}; ${there}`);
  }
}

/**
 * The version to go back to: that of a generation, or the last one that another has followed and that is not what runs.
 * @throws SluiceError "no-revision", naming the generations that there are
 */
export function rollbackTarget(plugin: PluginObject, generation?: number): PastVersion {
  const history = historyOf(plugin);
  const live = history.findLast(({ outcome }) => outcome === "Live")?.digest ?? plugin.status?.digest;
  const earlier = history.filter(({ outcome, digest }) => outcome === "Superseded" && digest !== live);
  const found =
    generation === undefined ? earlier.at(-1) : history.findLast((entry) => entry.generation === generation);
  if (found !== undefined) return found;
  const known = history.map((entry) => entry.generation);
  const there = known.length === 0 ? "it has no history yet" : `its history has the generations ${known.join(", ")}`;
  const what = generation === undefined ? "there is no earlier version to go back to" : `no generation ${generation}`;
  throw SluiceError.of("no-revision", plugin.metadata.name, `${what}; ${there}`);
}

/**
 * Makes a version's module the Plugin's source: an ordinary change of it, with the roll-out and the checks of one.
 * @throws SluiceError "kube-conflict" when it was changed since it was read
 */
export async function rollBack(api: KubeApi, plugin: PluginObject, { digest }: PastVersion): Promise<PluginObject> {
  const { name, resourceVersion } = plugin.metadata;
  const others = Object.keys((plugin.spec?.source as object | undefined) ?? {}).filter((key) => key !== "digest");
  const source = { ...Object.fromEntries(others.map((key) => [key, null])), digest };
  return api.patch<PluginObject>(pathOf(name), { metadata: { resourceVersion }, spec: { source } });
}

const pathOf = (name: string) => `${SLUICE_API}/plugins/${encodeURIComponent(name)}`;
