import { resolve } from "node:path";
import { example } from "@sluice/sdk/cli";
import { type Command, InvalidArgumentError } from "commander";
import { explainIssues } from "../../config/explain.js";
import { pluginSpecSchema } from "../../config/schema.js";
import type { PluginChange, Probation, Shadow } from "../../dataplane/protocol.js";
import { SluiceError } from "../../errors.js";
import { type BuiltModule, buildModule } from "../../plugins/builder.js";
import { checkPluginConfig } from "../../plugins/config-schema.js";
import { readConfigFile } from "../../plugins/resolve.js";
import { type Assignment, assignments, names, numbersByKey, signedNumber, wholeNumber } from "../arguments.js";
import { type ConnectionOptions, withConnection } from "../connection.js";
import type { Io } from "../output.js";
import { change } from "./plugin-change.js";
import { addPluginHistory } from "./plugin-history.js";
import { addRollback } from "./plugin-rollback.js";
import { addPluginViews } from "./plugin-views.js";

export function addPluginCommands(program: Command, io: Io): void {
  const plugin = program
    .command("plugin")
    .summary("load, swap, show, profile, roll back and unload plugins")
    .description(
      "Look at the plugins of a node or a cluster, and change them. No packet is lost by a change; each command is one transaction. A cluster's plugins are its Plugin objects: kubectl apply makes and changes them, kubectl delete removes them.",
    );
  example(plugin, "sluice plugin swap policy=./policy.ts", "the new version of a plugin goes live, built on the way");
  addLoad(plugin, io);
  addSwap(plugin, io);
  addPluginViews(plugin, io);
  addRollback(plugin, io);
  addPluginHistory(plugin, io);
  addUnload(plugin, io);
}

interface LoadOptions extends ConnectionOptions {
  as?: string;
  config?: string;
  failure?: string;
  budgetUs?: number;
  scope?: string[];
  before?: string[];
  after?: string[];
  priority?: number;
}

function addLoad(plugin: Command, io: Io): void {
  const command = plugin
    .command("load")
    .summary("add a plugin to the pipeline")
    .description("Add a plugin at the hooks that its manifest names.")
    .argument("<file>", "a module (.wasm), or AssemblyScript source (.ts), which is compiled first")
    .option("--as <name>", "name of the plugin in the node; default: its manifest's")
    .option("--config <file>", "its configuration, YAML or JSON")
    .option("--failure <strategy>", "FailClosed, FailOpen or Reload; default: its manifest's")
    .option("--budget-us <n>", "longest that one call may take, in microseconds", wholeNumber(10))
    .option("--scope <ports>", "ports whose packets it sees; default: all", names)
    .option("--before <plugins>", "plugins that must run after it", names)
    .option("--after <plugins>", "plugins that must run before it", names)
    .option("--priority <n>", "lower runs first where before and after leave it open", signedNumber);
  withConnection(command).action(async (file: string, options: LoadOptions) => {
    const module = await buildModule(resolve(file));
    const { failure, budgetUs, scope, before, after, priority } = options;
    const config = await configOf(module, options.config);
    const given = { failure, budgetUs, scope, before, after, priority, config };
    const spec = {
      name: options.as ?? module.manifest.name,
      digest: module.digest,
      origin: module.origin,
      ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
    };
    const parsed = pluginSpecSchema.safeParse(spec);
    if (!parsed.success) throw new SluiceError(explainIssues(parsed.error.issues, spec).map(({ problem }) => problem));
    await change(io, options, { changes: [{ load: { pluginJson: JSON.stringify(parsed.data) } }], modules: [module] });
  });
  example(
    command,
    "sluice plugin load ./guard.ts --config guard.yaml --before policy",
    "compile a stage and put it in front of policy",
  );
}

interface SwapOptions extends ConnectionOptions {
  config?: Assignment[];
  shadow?: ReturnType<typeof shadow>;
  probation?: ReturnType<typeof probation>;
  resetFlowState?: boolean;
}

function addSwap(plugin: Command, io: Io): void {
  const command = plugin
    .command("swap")
    .summary("replace plugins under load, all of them or none")
    .description("Replace the module or configuration of one or more plugins in one transaction. Sessions are kept.")
    .argument(
      "<name=file...>",
      "plugin and its new module (.wasm) or source (.ts); a name alone keeps the module",
      assignments,
    )
    .option(
      "--config <[name=]file>",
      "new configuration, YAML or JSON; with several plugins: of the one named",
      configs,
      [],
    )
    .option("--shadow <limits>", "first compare with the live version: packets=N,max-differences=D,seconds=S", shadow)
    .option(
      "--probation <limits>",
      "watch it once live, and go back when it fails: seconds=S,max-failures=N",
      probation,
    )
    .option("--reset-flow-state", "drop flow state of another schema that the new version can't migrate");
  withConnection(command).action(async (plugins: Assignment[], options: SwapOptions) => {
    const newConfigs = configsByName(plugins, options.config ?? []);
    const modules: BuiltModule[] = [];
    const changes: PluginChange[] = [];
    for (const { name, file } of plugins) {
      const module = file === undefined ? undefined : await buildModule(resolve(file));
      if (module !== undefined) modules.push(module);
      const config = await configOf(module, newConfigs.get(name));
      changes.push({
        swap: {
          name,
          resetFlowState: options.resetFlowState ?? false,
          ...(module === undefined ? {} : { digest: module.digest, origin: module.origin }),
          ...(config === undefined ? {} : { configJson: JSON.stringify(config) }),
        },
      });
    }
    await change(io, options, { changes, modules, ...limitsOf(options) });
  });
  example(
    command,
    "sluice plugin swap policy=policy.ts nat=nat.wasm --shadow packets=10000,max-differences=0",
    "both at once, if they treat 10000 live packets as the old ones do",
  );
}

function addUnload(plugin: Command, io: Io): void {
  const command = plugin
    .command("unload")
    .summary("take plugins out of the pipeline")
    .description("Take plugins out of the pipeline, with their history and flow state.")
    .argument("<plugins...>", "the plugins; several are one transaction");
  withConnection(command).action(async (plugins: string[], options: ConnectionOptions) => {
    await change(io, options, { changes: plugins.map((name) => ({ unload: { name } })), modules: [] });
  });
  example(command, "sluice plugin unload guard", "");
}

/** Checked here where the module is at hand, so that nothing is sent that will be refused. */
async function configOf(module: BuiltModule | undefined, file: string | undefined) {
  if (file === undefined) return undefined;
  const config = await readConfigFile(file);
  const problems = module === undefined ? [] : checkPluginConfig(module.manifest, config, "");
  if (problems.length > 0)
    throw new SluiceError(problems.map((problem) => ({ ...problem, path: `${file} ${problem.path}` })));
  return config;
}

const shadow = numbersByKey({ packets: 1000, "max-differences": 0, seconds: 10 });
const probation = numbersByKey({ seconds: 5, "max-failures": 0 });

function limitsOf(options: { shadow?: ReturnType<typeof shadow>; probation?: ReturnType<typeof probation> }): {
  shadow?: Shadow;
  probation?: Probation;
} {
  const { shadow: compare, probation: watch } = options;
  return {
    ...(compare && {
      shadow: {
        packets: compare.packets,
        maxDifferences: compare["max-differences"],
        timeoutMs: compare.seconds * 1000,
      },
    }),
    ...(watch && { probation: { durationMs: watch.seconds * 1000, maxFailures: watch["max-failures"] } }),
  };
}

/** "file" alone is the one plugin's. */
function configs(text: string, previous: readonly Assignment[] = []): Assignment[] {
  return text.includes("=") ? assignments(text, previous) : [...previous, { name: "", file: text }];
}

function configsByName(plugins: readonly Assignment[], given: readonly Assignment[]): Map<string, string> {
  const byName = new Map<string, string>();
  for (const { name, file = "" } of given) {
    const plugin = name === "" && plugins.length === 1 ? plugins[0]?.name : name;
    if (plugin === undefined || !plugins.some((candidate) => candidate.name === plugin)) {
      const allowed = plugins.map((candidate) => `${candidate.name}=FILE`).join(", ");
      throw new InvalidArgumentError(`--config ${name === "" ? file : name}: allowed: ${allowed}`);
    }
    byName.set(plugin, file);
  }
  return byName;
}
