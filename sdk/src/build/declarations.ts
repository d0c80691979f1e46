// What a plugin's source declares at its top level (hooks, metrics, drop reasons, tables, flow state, configure, migrations)
// is collected for the manifest here, and turned into constants: `new Counter("hits")` becomes a view at a fixed address.

import { COUNTERS_BASE, MAX_COUNTERS, MAX_TRACE_VALUES, PLUGIN_REASON_BASE } from "../generated/abi.js";
import {
  type Call,
  CONST_FLAG,
  type Declaration,
  type Decorator,
  EXPORT_FLAG,
  type ExpressionStatement,
  type FunctionDeclaration,
  type ImportStatement,
  type Literal,
  LiteralKind,
  type New,
  type Node,
  NodeKind,
  type Parser,
  type Source,
  type UnaryPrefix,
  type VariableDeclaration,
  type VariableStatement,
} from "./ast.js";
import type { Diagnostic, Place } from "./errors.js";
import { type HistogramDeclaration, type HookName, hookNames, type Json, metricCells } from "./manifest.js";

export interface FunctionReference {
  /** The file's path without extension, from the entry's folder. */
  path: string;
  name: string;
}
export interface Declarations {
  /** The argument of definePlugin(). */
  plugin: { [key: string]: Json };
  /** Where it stands. */
  pluginAt?: Place;
  hooks: Map<HookName, FunctionReference>;
  configure?: FunctionReference;
  migrations: Map<number, FunctionReference>;
  flowState?: { schema: number; internalName: string; at: Place };
  counters: string[];
  gauges: string[];
  histograms: HistogramDeclaration[];
  traceValues: string[];
  dropReasons: string[];
  tables: string[];
  help: Record<string, string>;
}

const SDK = "@sluice/sdk";
const MAX_TABLES = 60;
/** Of the first table's entry in a segment's directory; see assembly/segment.ts. */
const DIRECTORY_OFFSET = 16;
const tableClasses = new Set([
  ...["HashTable", "LpmTable", "ArrayTable", "Settings", "RangeTable", "RangeTable6", "BitmapTable", "MaglevTable"],
]);
const namePattern = /^[a-z][a-z0-9_]*$/;

export function placeOf(node: Node): Place {
  const { source, start } = node.range;
  const line = source.lineAt(start);
  return { file: source.normalizedPath, line, column: source.columnAt() };
}

/** Reads a parsed program's declarations and rewrites them in place. */
export class DeclarationCollector {
  readonly found: Declarations = {
    plugin: {},
    hooks: new Map(),
    migrations: new Map(),
    counters: [],
    gauges: [],
    histograms: [],
    traceValues: [],
    dropReasons: [],
    tables: [],
    help: {},
  };
  readonly diagnostics: Diagnostic[] = [];
  /** Addresses of gauges and histograms are known when all counters are. */
  private readonly later: (() => void)[] = [];

  constructor(private readonly parser: Parser) {}

  /** Handles every source of the plugin's own. */
  collect(): void {
    for (const source of this.parser.sources) {
      if (!source.internalPath.startsWith("~lib/")) this.collectSource(source);
    }
    for (const place of this.later) place();
  }

  private report(node: Node, code: string, message: string, remedy: string): void {
    this.diagnostics.push({ severity: "error", code, message, remedy, ...placeOf(node) });
  }

  private collectSource(source: Source): void {
    const imports = sdkImports(source);
    source.statements = source.statements.filter((statement) => {
      if (statement.kind === NodeKind.Variable) {
        for (const declaration of (statement as VariableStatement).declarations)
          this.collectVariable(declaration, imports);
      } else if (statement.kind === NodeKind.Function) {
        this.collectFunction(statement as FunctionDeclaration);
      } else if (statement.kind === NodeKind.Class) {
        this.collectClass(statement as Declaration);
      } else if (statement.kind === NodeKind.ExpressionStatement) {
        return !this.collectPlugin((statement as ExpressionStatement).expression, imports);
      }
      return true;
    });
  }

  /** `definePlugin({...})`: true when the statement is one, to be taken out. */
  private collectPlugin(expression: Node, imports: Map<string, string>): boolean {
    if (expression.kind !== NodeKind.Call || calleeOf(expression as Call, imports) !== "definePlugin") return false;
    const [argument] = (expression as Call).args;
    const value = argument ? this.constant(argument) : undefined;
    if (!argument || typeof value !== "object" || value === null || Array.isArray(value)) {
      this.report(
        expression,
        "plugin",
        "definePlugin() takes one object literal",
        'For example definePlugin({ name: "policy" })',
      );
    } else if (this.found.pluginAt) {
      this.report(expression, "plugin", "definePlugin() is called twice", "Keep one of them");
    } else {
      this.found.plugin = value;
      this.found.pluginAt = placeOf(argument);
    }
    return true;
  }

  private collectVariable(declaration: VariableDeclaration, imports: Map<string, string>): void {
    const made = declaration.initializer;
    if (made?.kind === NodeKind.New) {
      const { typeName, typeArguments, args } = made as New;
      const name = imports.get(typeName.identifier.text);
      if (name === undefined) return;
      const local = typeName.identifier.text;
      const type = typeArguments?.length ? `${local}<${typeArguments.map(textOf).join(", ")}>` : local;
      this.collectNew(declaration, made, args, { name, type });
    } else if (made?.kind === NodeKind.Call && calleeOf(made as Call, imports) === "dropReason") {
      const index = this.declare(made, (made as Call).args, this.found.dropReasons, "drop reason", /^[a-z][a-z0-9-]*$/);
      this.replace(declaration, made, `<i32>${PLUGIN_REASON_BASE + index}`);
    }
  }

  /** `new Counter("hits")` and the like: `name` is the SDK's name of the class, `type` what the source calls it. */
  private collectNew(
    declaration: VariableDeclaration,
    made: Node,
    args: Node[],
    { name, type }: { name: string; type: string },
  ): void {
    const replace = (value: number | string) =>
      this.replace(declaration, made, `changetype<${type}>(${typeof value === "number" ? `<usize>${value}` : value})`);
    const { counters, gauges, traceValues } = this.found;
    if (tableClasses.has(name)) {
      replace(DIRECTORY_OFFSET + this.declareTable(made, args) * 4);
    } else if (name === "Counter") {
      replace(COUNTERS_BASE + this.declareMetric(made, args, counters, "counter") * 8);
    } else if (name === "Gauge") {
      const index = this.declareMetric(made, args, gauges, "gauge");
      this.later.push(() => replace(COUNTERS_BASE + (counters.length + index) * 8));
    } else if (name === "Histogram") {
      const declared = this.declareHistogram(made, args);
      if (declared) this.later.push(() => replace(this.histogramData(declared)));
    } else if (name === "TraceValue") {
      const index = this.declare(made, args, traceValues, "trace value", namePattern);
      if (index === MAX_TRACE_VALUES)
        this.report(made, "trace-value", `More than ${MAX_TRACE_VALUES} trace values`, "Declare fewer");
      replace(index);
    }
  }

  private declareMetric(made: Node, args: Node[], list: string[], what: string): number {
    const index = this.declare(made, args, list, what, namePattern);
    this.checkMetric(made, list[index] ?? "");
    return index;
  }

  private declareHistogram(made: Node, args: Node[]): HistogramDeclaration | undefined {
    const names: string[] = this.found.histograms.map((each) => each.name);
    this.declare(made, args.slice(0, 2), names, "histogram", namePattern);
    const bounds = args[2] ? this.constant(args[2]) : undefined;
    const isBound = (bound: Json, i: number, all: Json[]) =>
      Number.isSafeInteger(bound) && (bound as number) > (i === 0 ? -1 : (all[i - 1] as number));
    if (!Array.isArray(bounds) || bounds.length === 0 || !bounds.every(isBound)) {
      const remedy = 'For example new Histogram("packet_bytes", "Packets by length", [64, 512, 1500])';
      this.report(made, "histogram", "A histogram needs bounds: ascending whole numbers from 0", remedy);
      return undefined;
    }
    const declared = { name: names.at(-1) ?? "", bounds: bounds as number[] };
    this.found.histograms.push(declared);
    this.checkMetric(made, declared.name);
    return declared;
  }

  /** Metrics share their names and the COUNTERS region. */
  private checkMetric(made: Node, name: string): void {
    const { counters, gauges, histograms } = this.found;
    const lists = [counters, gauges, histograms.map((each) => each.name)].filter((list) => list.includes(name));
    if (lists.length > 1)
      this.report(made, "metric", `There are two metrics '${name}'`, "Share one const, or rename one");
    if (metricCells(this.found) > MAX_COUNTERS) {
      const message = `The metrics take ${metricCells(this.found)} values, at most ${MAX_COUNTERS} fit`;
      this.report(made, "metric", message, "Declare fewer, or histograms of fewer bounds");
    }
  }

  /** Static data: u64 address of the cells, u64 number of bounds, the bounds. See assembly/metrics.ts. */
  private histogramData(declared: HistogramDeclaration): string {
    const { counters, gauges, histograms } = this.found;
    const before = metricCells({ counters, gauges, histograms: histograms.slice(0, histograms.indexOf(declared)) });
    const words = [COUNTERS_BASE + before * 8, declared.bounds.length, ...declared.bounds];
    return `memory.data<u64>([${words.join(", ")}])`;
  }

  private declareTable(made: Node, args: Node[]): number {
    const index = this.declare(made, args, this.found.tables, "table", /^[a-z][A-Za-z0-9_-]*$/);
    if (index === MAX_TABLES) this.report(made, "table", `More than ${MAX_TABLES} tables`, "Declare fewer");
    return index;
  }

  /** Adds a declared name to its list; returns its index there. */
  private declare(made: Node, args: Node[], list: string[], what: string, pattern: RegExp): number {
    const [name, help] = args.map((arg) => this.constant(arg));
    if (typeof name !== "string" || !pattern.test(name)) {
      this.report(
        made,
        what.replace(" ", "-"),
        `A ${what}'s name must be a string literal like ${pattern.source}`,
        "Rename it",
      );
    } else if (list.includes(name)) {
      this.report(made, what.replace(" ", "-"), `There are two ${what}s '${name}'`, "Share one const, or rename one");
    } else if (typeof help === "string") {
      this.found.help[name] = help;
    }
    return list.push(String(name)) - 1;
  }

  private replace(declaration: VariableDeclaration, old: Node, text: string): void {
    const expression = this.parse(text, old.range.source.normalizedPath);
    expression.range = old.range;
    declaration.initializer = expression;
    declaration.flags |= CONST_FLAG;
  }

  private parse(text: string, path: string): Node {
    const parser = new (this.parser.constructor as new () => Parser)();
    parser.parseFile(`const x = ${text};`, path, false);
    const statement = parser.sources[0]?.statements[0] as VariableStatement | undefined;
    const declaration = statement?.declarations[0];
    if (!declaration?.initializer) throw new Error(`the build made an expression that does not parse: ${text}`);
    return declaration.initializer;
  }

  private collectFunction(declaration: FunctionDeclaration): void {
    for (const decorator of declaration.decorators ?? []) {
      const reference = { path: declaration.range.source.internalPath, name: declaration.name.text };
      if (decorator.name.text === "hook") this.collectHook(declaration, decorator, reference);
      else if (decorator.name.text === "configure") this.collectConfigure(declaration, decorator, reference);
      else if (decorator.name.text === "migrate") this.collectMigration(declaration, decorator, reference);
      else continue;
      declaration.flags |= EXPORT_FLAG;
    }
  }

  private collectHook(declaration: FunctionDeclaration, decorator: Decorator, reference: FunctionReference): void {
    const [hook] = (decorator.args ?? []).map((arg) => this.constant(arg)) as HookName[];
    if (hook === undefined || !hookNames.includes(hook)) {
      this.report(decorator, "hook", `There is no hook ${JSON.stringify(hook)}`, `Hooks are ${hookNames.join(", ")}`);
    } else if (this.found.hooks.has(hook)) {
      this.report(decorator, "hook", `Two functions are for the hook '${hook}'`, "Join them");
    } else {
      this.found.hooks.set(hook, reference);
    }
    this.checkParameters(declaration, `@hook("forward") function ${reference.name}(batch: Batch): void`);
  }

  private collectConfigure(declaration: FunctionDeclaration, decorator: Decorator, reference: FunctionReference): void {
    if (this.found.configure) this.report(decorator, "configure", "Two functions are @configure", "Join them");
    this.found.configure = reference;
    this.checkParameters(declaration, `@configure function ${reference.name}(config: Json): void`);
  }

  private collectMigration(declaration: FunctionDeclaration, decorator: Decorator, reference: FunctionReference): void {
    const [schema] = (decorator.args ?? []).map((arg) => this.constant(arg));
    if (typeof schema !== "number" || this.found.migrations.has(schema)) {
      this.report(
        decorator,
        "migrate",
        "@migrate takes the old flow state's schema number, each once",
        "For example @migrate(1)",
      );
    } else {
      this.found.migrations.set(schema, reference);
    }
    this.checkParameters(declaration, `@migrate(1) function ${reference.name}(batch: Batch): void`);
  }

  private checkParameters(declaration: FunctionDeclaration, shape: string): void {
    if (declaration.signature.parameters.length === 1) return;
    this.report(declaration.name, "signature", "The function takes one parameter", `Write ${shape}`);
  }

  private collectClass(declaration: Declaration): void {
    const decorator = declaration.decorators?.find((each) => each.name.text === "flowState");
    if (!decorator) return;
    const [schema] = (decorator.args ?? []).map((arg) => this.constant(arg));
    if (typeof schema !== "number") {
      this.report(decorator, "flow-state", "@flowState takes the state's schema number", "For example @flowState(1)");
    } else if (this.found.flowState) {
      this.report(decorator, "flow-state", "Two classes are @flowState", "Join them: a stage has one");
    } else {
      const internalName = `${declaration.range.source.internalPath}/${declaration.name.text}`;
      this.found.flowState = { schema, internalName, at: placeOf(declaration.name) };
    }
    if (!declaration.decorators?.some((each) => each.name.text === "unmanaged")) {
      this.report(
        decorator,
        "flow-state",
        "A flow state's class must be @unmanaged",
        "Add @unmanaged before the class",
      );
    }
  }

  /** The value of a literal; reports what is none. */
  private constant(node: Node): Json {
    if (node.kind === NodeKind.True || node.kind === NodeKind.False) return node.kind === NodeKind.True;
    if (node.kind === NodeKind.Null) return null;
    if (node.kind === NodeKind.UnaryPrefix && textOf(node).startsWith("-"))
      return -Number(this.constant((node as UnaryPrefix).operand));
    if (node.kind === NodeKind.Literal) {
      const literal = node as Literal;
      const { literalKind, value } = literal;
      if (literalKind === LiteralKind.String) return String(value);
      if (literalKind === LiteralKind.Integer || literalKind === LiteralKind.Float) return Number(value.toString());
      if (literalKind === LiteralKind.Array) return literal.elementExpressions.map((each) => this.constant(each));
      if (literalKind === LiteralKind.Object) {
        return Object.fromEntries(
          literal.names.map((name, i) => [name.text, this.constant(literal.values[i] as Node)]),
        );
      }
    }
    this.report(
      node,
      "literal",
      "The build needs a literal here",
      "Write the value itself: it is read before the program runs",
    );
    return null;
  }
}

const textOf = (node: Node): string => node.range.source.text.slice(node.range.start, node.range.end);

/** The SDK's name of what is called, by whatever name the source imports it. */
function calleeOf(call: Call, imports: Map<string, string>): string | undefined {
  if (call.expression.kind !== NodeKind.Identifier) return undefined;
  return imports.get((call.expression as Node & { text: string }).text);
}

/** Local name to the SDK's name. */
function sdkImports(source: Source): Map<string, string> {
  const imports = new Map<string, string>();
  for (const statement of source.statements) {
    if (statement.kind !== NodeKind.Import || (statement as ImportStatement).path.value !== SDK) continue;
    for (const { name, foreignName } of (statement as ImportStatement).declarations ?? [])
      imports.set(name.text, foreignName.text);
  }
  return imports;
}
