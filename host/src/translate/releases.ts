import type { PipelineRecord } from "../cluster/records.js";
import type { NodePlugin } from "../cluster/versions.js";
import { OWN_STAGES } from "../resources/plugin.js";
import { holdingFor } from "../resources/select.js";

/** A Pipeline and the versions that went live with it. */
export interface Release {
  readonly pipeline: PipelineRecord;
  readonly plugins: readonly NodePlugin[];
}

export interface ReleaseInput {
  /** Of the node. */
  readonly labels: Readonly<Record<string, string>>;
  readonly pipelines: Iterable<PipelineRecord>;
  /** The users', as the node could run them. */
  readonly plugins: readonly NodePlugin[];
  /** That the node goes back to. */
  readonly last: Release | undefined;
}

/** What the node is made of. */
export interface Chosen {
  readonly pipeline: PipelineRecord | undefined;
  readonly plugins: readonly NodePlugin[];
  /** Of the Pipeline that holds, when all of it is there. */
  readonly release?: Release;
  /** Why that Pipeline and its release's versions wait. */
  readonly waiting?: string;
}

/**
 * A Pipeline with a release is taken together with its Plugins' versions of that release: once all are there, and not before. Until then, and
 * when one of them has gone back, the node is made of the last release.
 */
export function chooseRelease({ labels, pipelines, plugins, last }: ReleaseInput): Chosen {
  const pipeline = holdingFor(labels, pipelines);
  const release = pipeline?.spec.release;
  if (pipeline === undefined || release === undefined) return { pipeline, plugins };
  const listed = new Set(Object.values(pipeline.spec.hooks).flatMap((each) => each ?? []));
  for (const own of OWN_STAGES) listed.delete(own);
  const missing = [...listed].flatMap((name) =>
    missingOf(
      plugins.find((each) => each.name === name),
      name,
      release,
    ),
  );
  const members = plugins.filter(({ name, version }) => listed.has(name) && version.release !== undefined);
  if (missing.length === 0) return { pipeline, plugins, release: { pipeline, plugins: members } };
  const waiting = `release ${release} waits for ${missing.join(", ")}`;
  return lastInstead({ pipeline, plugins: members }, plugins, last, waiting);
}

/** The last release in the place of what is there of another one. Without a last one nothing of it runs. */
export function lastInstead(
  release: Release,
  plugins: readonly NodePlugin[],
  last: Release | undefined,
  waiting: string,
): Chosen {
  const replaced = new Set([...release.plugins, ...(last?.plugins ?? [])].map(({ name }) => name));
  const others = plugins.filter(({ name }) => !replaced.has(name));
  return { pipeline: last?.pipeline ?? release.pipeline, plugins: [...others, ...(last?.plugins ?? [])], waiting };
}

function missingOf(plugin: NodePlugin | undefined, name: string, release: string): string[] {
  if (plugin === undefined) return [`Plugin ${name}, of which no version is there`];
  const own = plugin.version.release;
  return own === undefined || own === release ? [] : [`Plugin ${name}, whose version has release ${own}`];
}
