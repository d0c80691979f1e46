import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import { explainIssues } from "../config/explain.js";
import { distinctRoutes, routeId } from "../config/relations.js";
import {
  type Neighbour,
  type NodeSpec,
  neighbourSchema,
  type PluginSpec,
  type Port,
  pipelineSchema,
  pluginSpecSchema,
  portSchema,
  routeSchema,
} from "../config/schema.js";
import { mapping } from "../config/values.js";
import { SluiceError } from "../errors.js";
import { changed, withChanges } from "./list-change.js";

// What makes one node spec of another: what goes over gRPC in Update. Ports and plugins are told apart by name, routes by
// table and prefix, neighbours by port and address.

const routeKey = mapping({ table: z.int(), prefix: z.string() });
const neighbourKey = mapping({ port: z.string(), address: z.string() });

/** What is set takes the place of what has the same key. */
const changes = <Item extends z.ZodType, Key extends z.ZodType>(item: Item, key: Key) =>
  mapping({ set: z.array(item).default([]), remove: z.array(key).default([]) }).prefault({});

export const differenceSchema = mapping({
  ports: changes(portSchema, z.string()),
  routes: changes(routeSchema, routeKey),
  neighbours: changes(neighbourSchema, neighbourKey),
  plugins: changes(pluginSpecSchema, z.string()),
  /** Absent: it stays. */
  pipeline: pipelineSchema.optional(),
});
export type Difference = z.output<typeof differenceSchema>;

/** @throws SluiceError with JSON pointers into the difference */
export function parseDifference(value: unknown): Difference {
  const parsed = differenceSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new SluiceError(explainIssues(parsed.error.issues, value).map(({ problem }) => problem));
}

/** What makes `to` of `from`, but for the order of lists and settings of the start; undefined: nothing. */
export function difference(from: NodeSpec, to: NodeSpec): Difference | undefined {
  const pipeline = isDeepStrictEqual(from.pipeline, to.pipeline) ? {} : { pipeline: to.pipeline };
  const result: Difference = {
    ports: changed(from.ports, to.ports, portName, portName),
    routes: changed(from.routes, to.routes, routeId, ({ table, prefix }) => ({ table, prefix })),
    neighbours: changed(from.neighbours, to.neighbours, neighbourId, ({ port, address }) => ({ port, address })),
    plugins: changed(from.plugins, to.plugins, pluginName, pluginName),
    ...pipeline,
  };
  const lists = [result.ports, result.routes, result.neighbours, result.plugins];
  const isEmpty = lists.every(({ set, remove }) => set.length === 0 && remove.length === 0);
  return isEmpty && result.pipeline === undefined ? undefined : result;
}

/** The node with the difference made in it. What does not change is the same object as before. */
export function withDifference(spec: NodeSpec, { ports, routes, neighbours, plugins, pipeline }: Difference): NodeSpec {
  const nextRoutes = withChanges(spec.routes, routes, routeId, routeId);
  if (nextRoutes !== spec.routes) distinctRoutes.add(nextRoutes);
  return {
    ...spec,
    ports: withChanges(spec.ports, ports, portName, (name) => name),
    routes: nextRoutes,
    neighbours: withChanges(spec.neighbours, neighbours, neighbourId, neighbourId),
    plugins: withChanges(spec.plugins, plugins, pluginName, (name) => name),
    pipeline: pipeline ?? spec.pipeline,
  };
}

const portName = ({ name }: Port): string => name;
const pluginName = ({ name }: PluginSpec): string => name;
const neighbourId = ({ port, address }: Pick<Neighbour, "port" | "address">): string => `${port} ${address}`;
