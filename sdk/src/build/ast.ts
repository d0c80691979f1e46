// The parts of AssemblyScript's syntax tree that the build reads. The compiler is a JavaScript bundle whose own typings need
// AssemblyScript's number types, so these say what is used of it, by the numbers of its enum NodeKind.

import type { Place } from "./errors.js";

export const NodeKind = {
  NamedType: 1,
  Identifier: 7,
  Call: 10,
  False: 14,
  Literal: 17,
  New: 18,
  Null: 19,
  PropertyAccess: 22,
  True: 26,
  Constructor: 27,
  UnaryPrefix: 29,
  Export: 36,
  ExpressionStatement: 39,
  Import: 43,
  Variable: 48,
  Class: 52,
  Enum: 53,
  Field: 55,
  Function: 56,
  Method: 59,
  Namespace: 60,
  TypeAlias: 61,
} as const;
export const LiteralKind = { Float: 0, Integer: 1, String: 2, Array: 5, Object: 6 } as const;
export const SourceKind = { User: 0, UserEntry: 1 } as const;
/** Some of CommonFlags. */
export const EXPORT_FLAG = 1 << 1;
export const CONST_FLAG = 1 << 3;
export const STATIC_FLAG = 1 << 5;
export const PRIVATE_FLAG = 1 << 9;
export const PROTECTED_FLAG = 1 << 10;
export const DEFINITELY_ASSIGNED_FLAG = 1 << 14;

export interface Range {
  start: number;
  end: number;
  source: Source;
}
export interface Node {
  kind: number;
  range: Range;
}
export interface Identifier extends Node {
  text: string;
}
export interface Literal extends Node {
  literalKind: number;
  /** Float: number; integer: a 64-bit Long; string: string. */
  value: number | string | { toString(): string };
  /** Arrays. */
  elementExpressions: Node[];
  /** Objects. */
  names: Identifier[];
  values: Node[];
}
export interface UnaryPrefix extends Node {
  operator: number;
  operand: Node;
}
export interface Call extends Node {
  expression: Node;
  typeArguments: Node[] | null;
  args: Node[];
}
export interface New extends Node {
  typeName: { identifier: Identifier; next: unknown };
  typeArguments: Node[] | null;
  args: Node[];
}
export interface PropertyAccess extends Node {
  expression: Node;
  property: Identifier;
}
/** `name<typeArguments>`, `name[]` as Array<name>, with `| null`. */
export interface NamedType extends Node {
  name: { identifier: Identifier; next: unknown };
  typeArguments: Node[] | null;
  isNullable: boolean;
}
export interface Decorator extends Node {
  /** 0: none of the compiler's own. */
  decoratorKind: number;
  name: Identifier;
  args: Node[] | null;
}
export interface Declaration extends Node {
  name: Identifier;
  flags: number;
  decorators: Decorator[] | null;
}
export interface VariableDeclaration extends Declaration {
  initializer: Node | null;
}
export interface VariableStatement extends Node {
  declarations: VariableDeclaration[];
}
export interface ImportStatement extends Node {
  declarations: { name: Identifier; foreignName: Identifier }[] | null;
  path: Literal;
  internalPath: string;
}
export interface ExportStatement extends Node {
  members: { localName: Identifier; exportedName: Identifier }[] | null;
  internalPath: string | null;
}
export interface FieldDeclaration extends VariableDeclaration {
  type: Node | null;
}
export interface ClassDeclaration extends Declaration {
  typeParameters: Node[] | null;
  extendsType: Node | null;
  members: Declaration[];
}
export interface EnumDeclaration extends Declaration {
  values: VariableDeclaration[];
}
export interface NamespaceDeclaration extends Declaration {
  members: Node[];
}
export interface TypeAlias extends Declaration {
  type: Node;
}
export interface ExpressionStatement extends Node {
  expression: Node;
}
export interface Source extends Node {
  sourceKind: number;
  normalizedPath: string;
  internalPath: string;
  text: string;
  statements: Node[];
  lineAt(position: number): number;
  columnAt(): number;
}
export interface Parser {
  sources: Source[];
  parseFile(text: string | null, path: string, isEntry: boolean): void;
}
/** A class, function or variable of the program. */
export interface Element {
  declaration?: Declaration;
  /** Of a class: its instances by their type arguments. */
  instances?: Map<string, { nextMemoryOffset: number }> | null;
}
export interface Program {
  /** By internal name: "folder/file/Class#method". */
  elementsByName: Map<string, Element>;
}
/** Binaryen's module, as afterCompile gets it. */
export interface BinaryenModule {
  emitText(): string;
  runPasses(passes: string[]): void;
}
export interface Parameter extends Node {
  type: Node;
}
export interface FunctionDeclaration extends Declaration {
  signature: { parameters: Parameter[]; returnType: Node };
}

/** Where a node stands. */
export function placeOf(node: Node): Place {
  const { source, start } = node.range;
  const line = source.lineAt(start);
  return { file: source.normalizedPath, line, column: source.columnAt() };
}
