// Reads @config classes from the syntax tree.

import {
  type ClassDeclaration,
  DEFINITELY_ASSIGNED_FLAG,
  type Declaration,
  type FieldDeclaration,
  type FunctionDeclaration,
  type NamedType,
  type Node,
  NodeKind,
  type Parser,
  PRIVATE_FLAG,
  PROTECTED_FLAG,
  placeOf,
  STATIC_FLAG,
} from "../ast.js";

import { parseStatement } from "../parse.js";
import { defaultValue } from "./defaults.js";
import { docstring } from "./docs.js";
import type { ConfigClass, ConfigField, ConfigType } from "./model.js";
import { type Report, Rules } from "./rules.js";
import { Scope } from "./scope.js";
import { exported, TypeReader } from "./types.js";

/** Of the value that an object of the class was read from; see assembly/config.ts. */
const HIDDEN = "class Hidden { __json: usize = 0; }";

export class ConfigCollector {
  private readonly scope: Scope;
  private readonly types: TypeReader;
  private readonly classes = new Map<ClassDeclaration, ConfigClass | undefined>();
  private readonly open = new Set<ClassDeclaration>();

  constructor(
    private readonly parser: Parser,
    private readonly report: Report,
  ) {
    this.scope = new Scope(parser);
    this.types = new TypeReader(this.scope, report, (declaration, use) => this.nested(declaration, use));
  }

  /** What a type names, if it is a class of the plugin's. */
  classNamed(type: Node): ClassDeclaration | undefined {
    if (type.kind !== NodeKind.NamedType) return undefined;
    const meaning = this.scope.find((type as NamedType).name.identifier.text, type.range.source);
    const isClass = meaning && "declaration" in meaning && meaning.declaration.kind === NodeKind.Class;
    return isClass ? (meaning.declaration as ClassDeclaration) : undefined;
  }

  /** True for the SDK's Json. */
  isJson(type: Node): boolean {
    if (type.kind !== NodeKind.NamedType) return false;
    const meaning = this.scope.find((type as NamedType).name.identifier.text, type.range.source);
    return meaning !== undefined && "sdk" in meaning && meaning.sdk === "Json";
  }

  /** The class; undefined when something is wrong with it, which is reported once. Its fields may lack initializers. */
  read(declaration: ClassDeclaration): ConfigClass | undefined {
    if (this.classes.has(declaration)) return this.classes.get(declaration);
    this.open.add(declaration);
    const isWhole = this.checkShape(declaration);
    const members = isWhole ? declaration.members.filter(isField) : [];
    const fields = members.map((field) => this.field(field));
    this.open.delete(declaration);
    const found =
      isWhole && !fields.includes(undefined) ? this.finish(declaration, fields as ConfigField[]) : undefined;
    this.classes.set(declaration, found);
    return found;
  }

  private nested(declaration: ClassDeclaration, use: Node): ConfigClass | undefined {
    if (!this.open.has(declaration)) return this.read(declaration);
    const message = `The configuration class '${declaration.name.text}' contains itself`;
    this.report(use, message, "Use a list beside it, whose items name each other");
    return undefined;
  }

  private checkShape(declaration: ClassDeclaration): boolean {
    const refuse = (node: Node, message: string, remedy: string): boolean => {
      this.report(node, message, remedy);
      return false;
    };
    if (declaration.extendsType)
      return refuse(declaration.extendsType, "A @config class extends no other", "Write all fields in it");
    if (declaration.typeParameters?.length)
      return refuse(declaration.name, "A @config class has no type parameters", "Write the types");
    const made = declaration.members.find(({ name }) => name.text === "constructor") as FunctionDeclaration | undefined;
    if (!made?.signature.parameters.length) return true;
    return refuse(made.name, "A @config class's constructor has no parameters", "Give the fields defaults instead");
  }

  private field(field: FieldDeclaration): ConfigField | undefined {
    const problems = { count: 0 };
    const report: Report = (...problem) => {
      problems.count++;
      this.report(...problem);
    };
    const rules = new Rules(field, report);
    const type = field.type ? this.types.read(field.type, rules) : undefined; // the compiler reports one without
    if (!type) return undefined;
    rules.checkUsed(field);
    if (problems.count > 0) return undefined;
    const { isNullable } = field.type as NamedType;
    const value = this.initial(field, type, isNullable, report);
    if (problems.count > 0) return undefined;
    const description = docstring(field);
    return {
      ...{
        name: field.name.text,
        type,
        isNullable,
        isRequired: !field.initializer && !isNullable,
        at: placeOf(field.name),
      },
      ...(value === undefined ? {} : { default: value }),
      ...(description === undefined ? {} : { description }),
    };
  }

  private initial(field: FieldDeclaration, type: ConfigType, isNullable: boolean, report: Report) {
    const { initializer } = field;
    if (initializer) {
      const isNull = isNullable && initializer.kind === NodeKind.Null;
      return isNull ? undefined : defaultValue(initializer, type, report);
    }
    const isReference = ["string", "ipv6", "address", "prefix", "ports", "raw", "list", "object"].includes(type.kind);
    if (isReference && !isNullable) field.flags |= DEFINITELY_ASSIGNED_FLAG;
    return undefined;
  }

  private finish(declaration: ClassDeclaration, fields: ConfigField[]): ConfigClass {
    const hidden = parseStatement(this.parser, HIDDEN, declaration.range.source.normalizedPath) as ClassDeclaration;
    declaration.members.push(...hidden.members);
    const description = docstring(declaration);
    return {
      ...{ reference: exported(declaration), fields, at: placeOf(declaration.name) },
      ...(description === undefined ? {} : { description }),
    };
  }
}

/** Static, private and protected fields are the class's own business. */
const isField = (member: Declaration): member is FieldDeclaration =>
  member.kind === NodeKind.Field && (member.flags & (STATIC_FLAG | PRIVATE_FLAG | PROTECTED_FLAG)) === 0;
