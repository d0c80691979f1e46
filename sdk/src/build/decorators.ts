// Decorators that mean nothing where they stand: the compiler would pass them over.

import {
  type ClassDeclaration,
  type Declaration,
  type Decorator,
  type NamespaceDeclaration,
  type Node,
  NodeKind,
  type Source,
  type VariableStatement,
} from "./ast.js";
import { ruleNames } from "./config/rules.js";
import type { Reporter } from "./reporter.js";
import { suggestion } from "./suggest.js";

const onFunctions = ["hook", "configure", "migrate"];
const onClasses = ["config", "flowState"];
const own = [...onFunctions, ...onClasses, ...ruleNames];
const compilers = ["inline", "unmanaged", "final", "lazy", "unsafe", "global", "external", "operator", "builtin"];

/** Reports unknown and misplaced decorators of a source. */
export function checkDecorators(source: Source, reporter: Reporter): void {
  for (const statement of source.statements) checkStatement(statement, reporter, true);
}

function checkStatement(statement: Node, reporter: Reporter, isTop: boolean): void {
  if (statement.kind === NodeKind.Namespace) {
    for (const member of (statement as NamespaceDeclaration).members) checkStatement(member, reporter, false);
    return;
  }
  const allowed = allowedOn(statement.kind, isTop);
  if (statement.kind === NodeKind.Variable) {
    for (const declaration of (statement as VariableStatement).declarations) check(declaration, allowed, reporter);
    return;
  }
  check(statement as Declaration, allowed, reporter);
  if (statement.kind !== NodeKind.Class) return;
  const isConfig = (statement as Declaration).decorators?.some(({ name }) => name.text === "config");
  for (const member of (statement as ClassDeclaration).members)
    check(member, isConfig && member.kind === NodeKind.Field ? ruleNames : [], reporter);
}

function allowedOn(kind: number, isTop: boolean): string[] {
  if (!isTop) return [];
  return kind === NodeKind.Function ? onFunctions : kind === NodeKind.Class ? onClasses : [];
}

function check(declaration: Declaration, allowed: readonly string[], reporter: Reporter): void {
  for (const decorator of declaration.decorators ?? []) {
    const { decoratorKind, name } = decorator;
    if (decoratorKind === 0 && !allowed.includes(name.text)) reportDecorator(decorator, reporter);
  }
}

function reportDecorator(decorator: Decorator, reporter: Reporter): void {
  const { text } = decorator.name;
  if (!own.includes(text)) {
    const message = `There is no decorator @${text}${suggestion(text, [...own, ...compilers])}`;
    const remedy = `Sluice's are ${own.map((name) => `@${name}`).join(", ")}`;
    reporter.report(decorator, "decorator", message, remedy);
    return;
  }
  const place = onFunctions.includes(text)
    ? "a function at a file's top level"
    : onClasses.includes(text)
      ? "a class at a file's top level"
      : "a field of a class marked @config";
  reporter.report(decorator, "decorator", `@${text} cannot stand here`, `Put it above ${place}`);
}
