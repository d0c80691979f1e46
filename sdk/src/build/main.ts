import { ABI_EXPORT, ABI_VERSION, WINDOW_BASE } from "../generated/abi.js";
import { DecoderWriter } from "./config/decoder.js";
import type { Declarations, FunctionReference } from "./declarations.js";
import { hookNumber } from "./manifest.js";

export const MAIN_PATH = "sluice-main.ts";

/** The module's entry: the ABI's exports, which call the plugin's functions. */
export function mainSource(found: Declarations): string {
  const imports: string[] = [];
  const use = (reference: FunctionReference, as: string): string => {
    imports.push(`import { ${reference.name} as ${as} } from "./${reference.path}";`);
    return as;
  };
  const batch = `changetype<Batch>(<usize>${WINDOW_BASE})`;
  const hooks = [...found.hooks].map(([hook, reference]) => [hookNumber(hook), use(reference, `${hook}Hook`)] as const);
  const body = [
    "export function process(hook: i32, count: i32): void {",
    ...hooks.map(([number, name]) => `  if (hook == ${number}) ${name}(${batch});`),
    "}",
    // The use of __heap_base makes the compiler say where static data ends; see sizeProblems.
    `export function ${ABI_EXPORT}(): i32 { return __heap_base != 0 ? ${ABI_VERSION} : 0; }`,
  ];
  if (takesConfiguration(found)) body.push(...configureSource(found, imports, use));
  if (found.migrations.size > 0) {
    const cases = [...found.migrations].map(
      ([schema, reference], i) => `  if (from == ${schema}) ${use(reference, `migration${i}`)}(${batch});`,
    );
    body.push("export function migrate(from: i32, count: i32): void {", ...cases, "}");
  }
  if (found.defaults.length > 0) imports.push('import { setDefaults } from "@sluice/sdk/settings";');
  const defaults = found.defaults.map(({ entry, type }, i) => {
    const name = use(type, `Defaults${i}`);
    return `setDefaults<${name}>(<usize>${entry}, new ${name}());`;
  });
  return [`import { Batch } from "@sluice/sdk";`, ...imports, ...defaults, ...body, ""].join("\n");
}

/** True when the module has a `configure`. */
export const takesConfiguration = (found: Declarations): boolean =>
  found.configure !== undefined || found.configuration !== undefined;

function configureSource(
  { configure, configuration }: Declarations,
  imports: string[],
  use: (reference: FunctionReference, as: string) => string,
): string[] {
  imports.push('import { beginConfigure, endConfigure } from "@sluice/sdk/configure";');
  const build = configure && use(configure, "build");
  const call: string[] = [];
  const writer = new DecoderWriter();
  if (configuration) {
    const { class: root, settings } = configuration;
    const type = writer.use(root.reference);
    const decoder = writer.decoder(root);
    imports.push(
      'import * as $config from "@sluice/sdk/config";',
      'import { IpAddress, Ipv6Address, Json, PortRange, Prefix, Settings } from "@sluice/sdk";',
    );
    call.push(
      `    const read = ${decoder}(config);`,
      ...settings.map(
        (entry) => `    if (!$config.hasFailed()) changetype<Settings<${type}>>(<usize>${entry}).set(read);`,
      ),
      ...(build === undefined ? [] : [`    if (!$config.hasFailed()) ${build}(read);`]),
    );
  } else if (build !== undefined) {
    call.push(`    ${build}(config);`);
  }
  return [
    writer.source,
    "export function configure(): i32 {",
    "  const config = beginConfigure();",
    "  if (config.isPresent) {",
    ...call,
    "  }",
    "  return endConfigure();",
    "}",
  ];
}
