import type { PluginSpec, Route } from "../config/schema.js";
import { perItem } from "../per-object.js";
import { configText } from "./config-text.js";
import type { Snapshot } from "./store.js";

/**
 * The snapshot in JSON, in parts. In a large cluster it is some 16 MB, written while pods come and go: of what has not changed
 * since the last one no text is made again, and others have their turn between the parts.
 */
export function* snapshotText({ spec, histories, ...rest }: Snapshot): Generator<string> {
  const { plugins, routes, ...others } = spec;
  yield `${open(rest)},"spec":${open(others)},"routes":[`;
  yield routeTexts(routes).join();
  yield '],"plugins":[';
  yield* separated(plugins, pluginText);
  yield ']},"histories":{';
  yield* separated(Object.entries(histories), function* ([name, history]) {
    yield `${JSON.stringify(name)}:[`;
    yield* separated(history, function* ({ plugin, ...revision }) {
      yield `${open(revision)},"plugin":`;
      yield* pluginText(plugin);
      yield "}";
    });
    yield "]";
  });
  yield "}}\n";
}

const routeTexts = perItem((route: Route) => JSON.stringify(route));

function* pluginText({ config, ...rest }: PluginSpec): Generator<string> {
  const text = configText(config);
  yield open(rest);
  if (text !== undefined) {
    yield ',"config":';
    yield text;
  }
  yield "}";
}

/** The text of an object that is not empty, up to where more can be added to it. */
const open = (object: object): string => JSON.stringify(object).slice(0, -1);

function* separated<Item>(items: readonly Item[], textOf: (item: Item) => Generator<string>): Generator<string> {
  for (const [index, item] of items.entries()) {
    if (index > 0) yield ",";
    yield* textOf(item);
  }
}
