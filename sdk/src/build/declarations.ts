// What a plugin's source declares at its top level (hooks, metrics, drop reasons, tables, flow state, configuration, migrations)
// is collected for the manifest and the generated entry here.

import {
  type Call,
  type ClassDeclaration,
  type Declaration,
  type Decorator,
  EXPORT_FLAG,
  type ExpressionStatement,
  type FunctionDeclaration,
  type ImportStatement,
  type NamedType,
  type Node,
  NodeKind,
  type Parser,
  placeOf,
  type Source,
  type VariableStatement,
} from "./ast.js";
import { ConfigCollector } from "./config/collect.js";
import { type ConfigClass, isScalar, type TypeReference } from "./config/model.js";
import { checkDecorators } from "./decorators.js";
import type { Diagnostic, Place } from "./errors.js";
import { textOf } from "./literals.js";
import { type HistogramDeclaration, type HookName, hookNames, type Json } from "./manifest.js";
import { Reporter } from "./reporter.js";
import { suggestion } from "./suggest.js";
import { calleeOf, type SettingsVariable, VariableCollector } from "./variables.js";

export interface FunctionReference {
  /** The file's path without extension, from the entry's folder. */
  path: string;
  name: string;
}
/** What configure reads its text into. */
export interface Configuration {
  class: ConfigClass;
  /** Directory entries of the `Settings` that hold a copy of it. */
  settings: number[];
}
export interface Declarations {
  /** The argument of definePlugin(). */
  plugin: { [key: string]: Json };
  /** Where it stands. */
  pluginAt?: Place;
  hooks: Map<HookName, FunctionReference>;
  configure?: FunctionReference;
  /** Absent: `configure`, if any, takes the text as Json. */
  configuration?: Configuration;
  /** Directory entries of the `Settings` of @config classes, and these. */
  defaults: { entry: number; type: TypeReference }[];
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

/** Reads a parsed program's declarations and rewrites them in place. */
export class DeclarationCollector {
  readonly found: Declarations = {
    plugin: {},
    hooks: new Map(),
    defaults: [],
    migrations: new Map(),
    counters: [],
    gauges: [],
    histograms: [],
    traceValues: [],
    dropReasons: [],
    tables: [],
    help: {},
  };
  private readonly reporter = new Reporter();
  private readonly variables: VariableCollector;
  private readonly configs: ConfigCollector;
  /** The type of configure's parameter. */
  private configType: Node | undefined;

  constructor(private readonly parser: Parser) {
    this.variables = new VariableCollector(parser, this.reporter, this.found);
    this.configs = new ConfigCollector(parser, (node, message, remedy) => this.report(node, "config", message, remedy));
  }

  get diagnostics(): Diagnostic[] {
    return this.reporter.diagnostics;
  }

  /** Handles every source of the plugin's own. */
  collect(): void {
    for (const source of this.parser.sources) {
      if (!source.internalPath.startsWith("~lib/")) this.collectSource(source);
    }
    this.variables.finish();
    this.collectConfiguration();
  }

  private report(node: Node, code: string, message: string, remedy: string): void {
    this.reporter.report(node, code, message, remedy);
  }

  private collectSource(source: Source): void {
    checkDecorators(source, this.reporter);
    const imports = sdkImports(source);
    source.statements = source.statements.filter((statement) => {
      if (statement.kind === NodeKind.Variable) {
        for (const declaration of (statement as VariableStatement).declarations)
          this.variables.collect(declaration, imports);
      } else if (statement.kind === NodeKind.Function) {
        this.collectFunction(statement as FunctionDeclaration, imports);
      } else if (statement.kind === NodeKind.Class) {
        this.collectClass(statement as ClassDeclaration);
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
    const value = argument ? this.reporter.constant(argument) : undefined;
    if (!argument || typeof value !== "object" || value === null || Array.isArray(value)) {
      const remedy = 'For example definePlugin({ name: "policy" })';
      this.report(expression, "plugin", "definePlugin() takes one object literal", remedy);
    } else if (this.found.pluginAt) {
      this.report(expression, "plugin", "definePlugin() is called twice", "Keep one of them");
    } else {
      this.found.plugin = value;
      this.found.pluginAt = placeOf(argument);
    }
    return true;
  }

  private collectFunction(declaration: FunctionDeclaration, imports: Map<string, string>): void {
    for (const decorator of declaration.decorators ?? []) {
      const reference = { path: declaration.range.source.internalPath, name: declaration.name.text };
      if (decorator.name.text === "hook") this.collectHook(declaration, decorator, reference, imports);
      else if (decorator.name.text === "configure") this.collectConfigure(declaration, decorator, reference);
      else if (decorator.name.text === "migrate") this.collectMigration(declaration, decorator, reference, imports);
      else continue;
      declaration.flags |= EXPORT_FLAG;
    }
  }

  private collectHook(
    declaration: FunctionDeclaration,
    decorator: Decorator,
    reference: FunctionReference,
    imports: Map<string, string>,
  ): void {
    const [hook] = (decorator.args ?? []).map((arg) => this.reporter.constant(arg)) as HookName[];
    if (hook === undefined || !hookNames.includes(hook)) {
      const meant = hook === undefined ? "" : suggestion(String(hook), hookNames);
      const message = hook === undefined ? "@hook names no hook" : `There is no hook ${JSON.stringify(hook)}${meant}`;
      this.report(decorator, "hook", message, `Hooks are ${hookNames.join(", ")}`);
    } else if (this.found.hooks.has(hook)) {
      this.report(decorator, "hook", `Two functions are for the hook '${hook}'`, "Join them");
    } else {
      this.found.hooks.set(hook, reference);
    }
    this.checkTakesBatch(declaration, `@hook("forward") function ${reference.name}(batch: Batch): void`, imports);
  }

  private collectConfigure(declaration: FunctionDeclaration, decorator: Decorator, reference: FunctionReference): void {
    if (this.found.configure) {
      this.report(decorator, "configure", "Two functions are @configure", "Join them");
      return;
    }
    this.found.configure = reference;
    const shape = `@configure function ${reference.name}(config: Settings): void, with a class marked @config`;
    if (this.checkSignature(declaration, shape)) this.configType = declaration.signature.parameters[0]?.type;
  }

  private collectMigration(
    declaration: FunctionDeclaration,
    decorator: Decorator,
    reference: FunctionReference,
    imports: Map<string, string>,
  ): void {
    const [schema] = (decorator.args ?? []).map((arg) => this.reporter.constant(arg));
    if (typeof schema !== "number" || this.found.migrations.has(schema)) {
      const message = "@migrate takes the old flow state's schema number, each once";
      this.report(decorator, "migrate", message, "For example @migrate(1)");
    } else {
      this.found.migrations.set(schema, reference);
    }
    this.checkTakesBatch(declaration, `@migrate(1) function ${reference.name}(batch: Batch): void`, imports);
  }

  private checkTakesBatch(declaration: FunctionDeclaration, shape: string, imports: Map<string, string>): void {
    if (!this.checkSignature(declaration, shape)) return;
    const type = declaration.signature.parameters[0]?.type as NamedType;
    if (imports.get(type.name?.identifier.text) === "Batch") return;
    this.report(
      type,
      "signature",
      `The function's parameter is '${textOf(type)}', not the SDK's Batch`,
      `Write ${shape}`,
    );
  }

  /** One parameter, no value. */
  private checkSignature(declaration: FunctionDeclaration, shape: string): boolean {
    const { parameters, returnType } = declaration.signature;
    const returned = textOf(returnType);
    const problem =
      parameters.length !== 1
        ? `The function takes ${parameters.length} parameters, not one`
        : returned !== "void" && returned !== ""
          ? `The function returns '${returned}'`
          : undefined;
    if (problem) this.report(declaration.name, "signature", problem, `Write ${shape}`);
    return problem === undefined;
  }

  private collectClass(declaration: ClassDeclaration): void {
    if (declaration.decorators?.some((each) => each.name.text === "config")) this.configs.read(declaration);
    const decorator = declaration.decorators?.find((each) => each.name.text === "flowState");
    if (!decorator) return;
    const [schema] = (decorator.args ?? []).map((arg) => this.reporter.constant(arg));
    if (typeof schema !== "number") {
      this.report(decorator, "flow-state", "@flowState takes the state's schema number", "For example @flowState(1)");
    } else if (this.found.flowState) {
      this.report(decorator, "flow-state", "Two classes are @flowState", "Join them: a stage has one");
    } else {
      const internalName = `${declaration.range.source.internalPath}/${declaration.name.text}`;
      this.found.flowState = { schema, internalName, at: placeOf(declaration.name) };
    }
    if (!declaration.decorators?.some((each) => each.name.text === "unmanaged")) {
      const remedy = "Add @unmanaged before the class";
      this.report(decorator, "flow-state", "A flow state's class must be @unmanaged", remedy);
    }
  }

  /** The class that configure takes, or, without configure, the one that a `Settings` holds. */
  private collectConfiguration(): void {
    const settings = this.variables.settings.filter(({ type }) => this.isConfig(this.configs.classNamed(type)));
    for (const each of settings) this.checkSettings(each);
    const root = this.configType ? this.configClass(this.configType) : this.settingsClass(settings);
    const found = root && this.configs.read(root);
    if (!found) return;
    const copies = settings.filter(({ type }) => this.configs.classNamed(type) === root);
    this.found.configuration = { class: found, settings: copies.map(({ entry }) => entry) };
  }

  private isConfig(declaration: Declaration | undefined): boolean {
    return declaration?.decorators?.some(({ name }) => name.text === "config") ?? false;
  }

  private configClass(type: Node): ClassDeclaration | undefined {
    const declared = this.configs.classNamed(type);
    if (declared && this.isConfig(declared)) return declared;
    if (this.configs.isJson(type)) return undefined;
    const message = `configure's parameter is '${textOf(type)}', no class marked @config`;
    this.report(
      type,
      "config",
      message,
      declared ? "Put @config above the class" : "Take a class that says what is configured",
    );
    return undefined;
  }

  private settingsClass([first, ...others]: SettingsVariable[]): ClassDeclaration | undefined {
    const root = first && this.configs.classNamed(first.type);
    const other = others.find(({ type }) => this.configs.classNamed(type) !== root);
    if (!other) return root;
    const remedy = "Add @configure function build(config: ...): void, which gives each Settings its part with set()";
    this.report(other.made, "config", "Settings of two classes, and no function marked @configure", remedy);
    return undefined;
  }

  /** A copy of the object's own bytes is what workers read. */
  private checkSettings({ type, made, entry }: SettingsVariable): void {
    const declared = this.configs.classNamed(type);
    const found = declared && this.configs.read(declared);
    if (found) this.found.defaults.push({ entry, type: found.reference });
    const field = found?.fields.find((each) => !isScalar(each.type));
    if (!field) return;
    const message = `Settings<${textOf(type)}> holds numbers, bool, enums and IPv4 addresses, and '${field.name}' is none`;
    const remedy = `Put '${field.name}' into a class around it, and make a table of it in configure`;
    this.report(made, "config", message, remedy);
  }
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
