import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { root } from "../support/dataplane.js";
import { CommandError } from "../support/process.js";
import { CHART, template } from "./helm.js";

/** Before each document of what Helm makes. */
const SOURCE = /^---\n# Source: sluice\/templates\/(.+)\n/m;
const HEADER = "# Made by npm run manifests from deploy/chart: change that.\n";

/** The chart with its default values, a file for each of its templates: what deploy/manifests/ holds. */
export async function manifestFiles(): Promise<{ name: string; text: string }[]> {
  const output = await template();
  if (output.status !== 0) throw new CommandError(["helm", "template"], output);
  const [, ...parts] = output.stdout.split(SOURCE);
  const files = new Map<string, string>();
  for (let index = 0; index + 1 < parts.length; index += 2) {
    const [name = "", text = ""] = parts.slice(index, index + 2);
    const before = files.get(name);
    files.set(name, before === undefined ? HEADER + text : `${before}---\n${text}`);
  }
  return [...files].map(([name, text]) => ({ name, text }));
}

type Schema = Record<string, unknown>;

/** The chart's schema of values, with that of a NodeConfig's spec as its resource has it. */
export function valuesSchema(): string {
  const crd = parse(readFileSync(`${root}/deploy/crds/sluice.dev_nodeconfigs.yaml`, "utf8")) as {
    spec: { versions: { schema: { openAPIV3Schema: { properties: { spec: Schema } } } }[] };
  };
  const schema = JSON.parse(readFileSync(`${CHART}/values.schema.json`, "utf8")) as { properties: Schema };
  schema.properties.nodeConfig = closed(crd.spec.versions[0]?.schema.openAPIV3Schema.properties.spec);
  return `${JSON.stringify(schema, undefined, 2)}\n`;
}

/** Without Kubernetes' own keywords; a field that the API server would drop is refused. */
function closed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(closed);
  if (typeof value !== "object" || value === null) return value;
  const kept = Object.entries(value).filter(([key]) => !key.startsWith("x-kubernetes-"));
  const schema = Object.fromEntries(kept.map(([key, inner]) => [key, closed(inner)]));
  const isClosed =
    typeof schema.properties === "object" && schema.type === "object" && !("additionalProperties" in schema);
  return isClosed ? { ...schema, additionalProperties: false } : schema;
}
