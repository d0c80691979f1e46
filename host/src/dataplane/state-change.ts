import { isDeepStrictEqual } from "node:util";
import { changed, keepsOrder, type ListChange } from "./list-change.js";
import type { DesiredState, PluginState, PortState } from "./state.js";

// A desired state as the addon takes it: what changes in the one that is in force, so that a small change costs little in a
// large node. native/src/control/desired_state.h has the format.

/** What the addon was last made to be. */
export interface InForce {
  readonly state: DesiredState;
  /** As apply() gave it. */
  readonly generation: number;
}

/** The addon's arguments. */
export interface StateText {
  readonly text: string;
  /** Plugins' configurations, which the text has the numbers of: they can be megabytes. */
  readonly configs: readonly string[];
}

/** @param from absent: nothing is in force */
export function stateText(to: DesiredState, from?: InForce): StateText {
  const configs: string[] = [];
  const withNumber = (plugin: PluginState) =>
    plugin.config === undefined ? plugin : { ...plugin, config: configs.push(plugin.config) - 1 };
  const parts =
    from === undefined
      ? { ...to, plugins: to.plugins.map(withNumber) }
      : { base: from.generation, ...changeOf(from.state, to, withNumber) };
  return { text: JSON.stringify(parts), configs };
}

/** Absent parts stay as they are. */
function changeOf(from: DesiredState, to: DesiredState, withNumber: (plugin: PluginState) => object): object {
  return {
    ports: listChange(from.ports, to.ports, nameOf, nameOf),
    routes: listChange(from.routes, to.routes, routeId, ({ table, prefix }) => ({ table, prefix })),
    neighbours: listChange(from.neighbours, to.neighbours, neighbourId, ({ port, address }) => ({ port, address })),
    plugins: listChange(from.plugins, to.plugins, nameOf, nameOf, withNumber),
    pipeline: isDeepStrictEqual(from.pipeline, to.pipeline) ? undefined : to.pipeline,
    conntrack: isDeepStrictEqual(from.conntrack, to.conntrack) ? undefined : to.conntrack,
  };
}

const nameOf = ({ name }: PortState | PluginState): string => name;
const routeId = ({ table, prefix }: DesiredState["routes"][number]): string => `${table} ${prefix}`;
const neighbourId = ({ port, address }: DesiredState["neighbours"][number]): string => `${port} ${address}`;

/** The whole list where the addon would have it in another order: its errors point into the list. */
function listChange<Item, Key>(
  from: readonly Item[],
  to: readonly Item[],
  idOf: (item: Item) => string,
  keyOf: (item: Item) => Key,
  written: (item: Item) => unknown = (item) => item,
): ListChange<unknown, Key> | unknown[] | undefined {
  if (from === to) return undefined;
  if (!keepsOrder(from, to, idOf)) return to.map(written);
  const { set, remove } = changed(from, to, idOf, keyOf);
  return set.length === 0 && remove.length === 0 ? undefined : { set: set.map(written), remove };
}
