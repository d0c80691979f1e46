// The variables at a plugin's top level that the manifest or the config segment knows of: metrics, trace values, drop reasons
// and tables become constants: `new Counter("hits")` is a view at a fixed address.

import { COUNTERS_BASE, MAX_COUNTERS, MAX_TRACE_VALUES, PLUGIN_REASON_BASE } from "../generated/abi.js";
import {
  type Call,
  CONST_FLAG,
  type New,
  type Node,
  NodeKind,
  type Parser,
  type VariableDeclaration,
  type VariableStatement,
} from "./ast.js";
import type { Declarations } from "./declarations.js";
import { textOf } from "./literals.js";
import { type HistogramDeclaration, type Json, metricCells } from "./manifest.js";
import { parseStatement } from "./parse.js";
import type { Reporter } from "./reporter.js";

const MAX_TABLES = 60;
/** Of the first table's entry in a segment's directory; see assembly/segment.ts. */
const DIRECTORY_OFFSET = 16;
const tableClasses = new Set([
  ...["HashTable", "LpmTable", "ArrayTable", "Settings", "RangeTable", "BitmapTable", "MaglevTable"],
]);
const namePattern = /^[a-z][a-z0-9_]*$/;

/** `new Settings<Type>()` of the plugin's. */
export interface SettingsVariable {
  /** Its type argument. */
  type: Node;
  /** Of its entry in a segment's directory. */
  entry: number;
  made: Node;
}

export class VariableCollector {
  readonly settings: SettingsVariable[] = [];
  /** Addresses of gauges and histograms are known when all counters are. */
  private readonly later: (() => void)[] = [];

  constructor(
    private readonly parser: Parser,
    private readonly reporter: Reporter,
    private readonly found: Declarations,
  ) {}

  /** `imports`: local name to the SDK's name. */
  collect(declaration: VariableDeclaration, imports: Map<string, string>): void {
    const made = declaration.initializer;
    if (made?.kind === NodeKind.New) {
      const { typeName, typeArguments, args } = made as New;
      const name = imports.get(typeName.identifier.text);
      if (name === undefined) return;
      const local = typeName.identifier.text;
      const type = typeArguments?.length ? `${local}<${typeArguments.map(textOf).join(", ")}>` : local;
      this.collectNew(declaration, made as New, args, { name, type });
    } else if (made?.kind === NodeKind.Call && calleeOf(made as Call, imports) === "dropReason") {
      const index = this.declare(made, (made as Call).args, this.found.dropReasons, "drop reason", /^[a-z][a-z0-9-]*$/);
      this.replace(declaration, made, `<i32>${PLUGIN_REASON_BASE + index}`);
    }
  }

  /** When all variables are known. */
  finish(): void {
    for (const place of this.later) place();
  }

  /** `new Counter("hits")` and the like: `name` is the SDK's name of the class, `type` what the source calls it. */
  private collectNew(
    declaration: VariableDeclaration,
    made: New,
    args: Node[],
    { name, type }: { name: string; type: string },
  ): void {
    const replace = (value: number | string) =>
      this.replace(declaration, made, `changetype<${type}>(${typeof value === "number" ? `<usize>${value}` : value})`);
    const { counters, gauges, traceValues } = this.found;
    if (tableClasses.has(name)) {
      const isUnnamed = name === "Settings" && args.length === 0;
      const entry = DIRECTORY_OFFSET + this.declareTable(made, args, isUnnamed ? declaration.name.text : undefined) * 4;
      const [argument] = made.typeArguments ?? [];
      if (name === "Settings" && argument) this.settings.push({ type: argument, entry, made });
      replace(entry);
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
        this.reporter.report(made, "trace-value", `More than ${MAX_TRACE_VALUES} trace values`, "Declare fewer");
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
    const bounds = args[2] ? this.reporter.constant(args[2]) : undefined;
    const isBound = (bound: Json, i: number, all: Json[]) =>
      Number.isSafeInteger(bound) && (bound as number) > (i === 0 ? -1 : (all[i - 1] as number));
    if (!Array.isArray(bounds) || bounds.length === 0 || !bounds.every(isBound)) {
      const remedy = 'For example new Histogram("packet_bytes", "Packets by length", [64, 512, 1500])';
      this.reporter.report(made, "histogram", "A histogram needs bounds: ascending whole numbers from 0", remedy);
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
      this.reporter.report(made, "metric", `There are two metrics '${name}'`, "Share one const, or rename one");
    if (metricCells(this.found) > MAX_COUNTERS) {
      const message = `The metrics take ${metricCells(this.found)} values, at most ${MAX_COUNTERS} fit`;
      this.reporter.report(made, "metric", message, "Declare fewer, or histograms of fewer bounds");
    }
  }

  /** Static data: u64 address of the cells, u64 number of bounds, the bounds. See assembly/metrics.ts. */
  private histogramData(declared: HistogramDeclaration): string {
    const { counters, gauges, histograms } = this.found;
    const before = metricCells({ counters, gauges, histograms: histograms.slice(0, histograms.indexOf(declared)) });
    const words = [COUNTERS_BASE + before * 8, declared.bounds.length, ...declared.bounds];
    return `memory.data<u64>([${words.join(", ")}])`;
  }

  private declareTable(made: Node, args: Node[], ownName: string | undefined): number {
    const pattern = /^[a-z][A-Za-z0-9_-]*$/;
    const { tables } = this.found;
    const index = ownName === undefined ? this.declare(made, args, tables, "table", pattern) : tables.push(ownName) - 1;
    if (index === MAX_TABLES) this.reporter.report(made, "table", `More than ${MAX_TABLES} tables`, "Declare fewer");
    return index;
  }

  /** Adds a declared name to its list; returns its index there. */
  private declare(made: Node, args: Node[], list: string[], what: string, pattern: RegExp): number {
    const code = what.replace(" ", "-");
    const before = this.reporter.diagnostics.length;
    const [name, help] = args.map((arg) => this.reporter.constant(arg));
    const isLiteral = this.reporter.diagnostics.length === before;
    if (isLiteral && (typeof name !== "string" || !pattern.test(name))) {
      this.reporter.report(made, code, `A ${what}'s name must be a string literal like ${pattern.source}`, "Rename it");
    } else if (isLiteral && list.includes(name as string)) {
      this.reporter.report(made, code, `There are two ${what}s '${name}'`, "Share one const, or rename one");
    } else if (typeof help === "string") {
      this.found.help[String(name)] = help;
    }
    return list.push(String(name)) - 1;
  }

  private replace(declaration: VariableDeclaration, old: Node, text: string): void {
    const path = old.range.source.normalizedPath;
    const statement = parseStatement(this.parser, `const x = ${text};`, path) as VariableStatement;
    const expression = statement.declarations[0]?.initializer;
    if (!expression) throw new Error(`the build made an expression that does not parse: ${text}`);
    expression.range = old.range;
    declaration.initializer = expression;
    declaration.flags |= CONST_FLAG;
  }
}

/** The SDK's name of what is called, by whatever name the source imports it. */
export function calleeOf(call: Call, imports: Map<string, string>): string | undefined {
  if (call.expression.kind !== NodeKind.Identifier) return undefined;
  return imports.get((call.expression as Node & { text: string }).text);
}
