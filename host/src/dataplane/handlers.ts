import type { Dataplane } from "@sluice/native";
import { messageOf, SluiceError } from "../errors.js";
import { digestOf } from "../plugins/builder.js";
import { VERSION } from "../version.js";
import { Observer } from "./observer.js";
import type { PluginSources } from "./plugin-sources.js";
import type { Figures, Module } from "./protocol.js";
import type { Handlers } from "./server.js";
import type { Shell } from "./shell.js";
import type { Modules } from "./store.js";
import { withSources } from "./traps.js";

/** What calls need. */
export interface Running {
  readonly shell: Shell;
  readonly observer: Observer;
  /** With stages' traps placed in their sources. */
  readonly figures: () => Promise<Figures>;
}

/** What answers calls, around a shell. */
export function runningOf(native: Dataplane, shell: Shell, sources: PluginSources): Running {
  const observer = new Observer({ native, figures: () => shell.status(), sources });
  return { shell, observer, figures: () => withSources(shell.status(), sources) };
}

/** Filled while the dataplane runs. */
export interface Cell {
  running?: Running;
}

/** What the dataplane answers; each call is refused while the cell is empty. */
export function handlersOf(cell: Readonly<Cell>, name: string): Handlers {
  const running = () => {
    if (cell.running !== undefined) return cell.running;
    throw SluiceError.of("not-running", "", `the dataplane "${name}" is starting or stopping; try again`);
  };
  return {
    apply: async ({ specJson, modules }) => running().shell.apply(parseJson(specJson), byDigest(modules)),
    update: async ({ base, differenceJson, modules }) =>
      running().shell.update(base, parseJson(differenceJson), byDigest(modules)),
    digest: async () => running().shell.digest(),
    changePlugins: async (request) => running().shell.change(request, byDigest(request.modules)),
    shadow: async ({ pluginsJson, modules, limits }) => ({
      shadows: await running().shell.compare(pluginsJson, byDigest(modules), limits),
    }),
    listPlugins: async () => ({ plugins: running().shell.plugins() }),
    status: async () => {
      const { figures, observer, shell } = running();
      const { count: observers } = observer;
      const { revision } = shell;
      return { name, pid: process.pid, version: VERSION, native: await figures(), observers, revision };
    },
    trace: async (request, sink) => running().observer.trace(request, sink),
    capture: async (request, sink) => running().observer.capture(request, sink),
    drops: async () => ({ drops: await running().observer.drops() }),
    flows: async (query) => ({ flows: running().observer.flows(query) }),
    profile: async (request) => running().observer.profile(request),
  };
}

function parseJson(json: string): unknown {
  try {
    return JSON.parse(json) as unknown;
  } catch (error) {
    throw SluiceError.of("invalid-config", "", `the request is no JSON: ${messageOf(error)}`, { cause: error });
  }
}

function byDigest(modules: readonly Module[]): Modules {
  for (const [index, { digest, wasm }] of modules.entries()) {
    const found = digestOf(wasm);
    if (found === digest) continue;
    throw SluiceError.of(
      "module-wrong-digest",
      `/modules/${index}/digest`,
      `found ${digest}; the module's sha-256 is ${found}`,
    );
  }
  return new Map(modules.map(({ digest, wasm }) => [digest, wasm]));
}
