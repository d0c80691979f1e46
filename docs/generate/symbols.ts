// An exported declaration as the reference shows it. What has no docstring is an error with its place.

import type { ClassDeclaration, Node, TSInterfaceDeclaration, VariableDeclaration } from "@babel/types";
import { DocsError } from "./errors.js";
import type { Exported, SourceFile, Sources } from "./source.js";

export interface Member {
  /** As an author writes it: "drop(reason: i32): void", "readonly length: u32". */
  signature: string;
  doc: string;
}
/** Members under a heading; the first section of a class may have none. */
export interface Section {
  title: string;
  /** What holds for all of them. */
  text?: string;
  members: Member[];
}
/** An export of the SDK. */
export interface Documented {
  name: string;
  kind: "class" | "function" | "constant" | "constants" | "interface" | "type";
  signature: string;
  doc: string;
  sections: Section[];
}

/** Describes an exported declaration; adds to `missing` the places that have no docstring. */
export function describe(exported: Exported, sources: Sources, missing: string[]): Documented {
  const { name, file, statement } = exported;
  const declaration = statement.type === "ExportNamedDeclaration" ? statement.declaration : undefined;
  const doc = (node: Node, what: string): string => docOr(file, node, what, missing);
  const base = { name, sections: [] };
  switch (declaration?.type) {
    case "ClassDeclaration":
      return {
        ...base,
        kind: "class",
        signature: headOf(file, declaration, declaration.body),
        doc: doc(statement, name),
        sections: [...inherited(file, declaration, sources, missing), ...classSections(file, declaration, missing)],
      };
    case "FunctionDeclaration":
      return {
        ...base,
        kind: "function",
        signature: headOf(file, declaration, declaration.body),
        doc: doc(statement, name),
      };
    case "TSDeclareFunction":
      return { ...base, kind: "function", signature: file.textOf(declaration), doc: doc(statement, name) };
    case "TSModuleDeclaration": {
      const members = declaration.body.type === "TSModuleBlock" ? declaration.body.body : [];
      const sections = [{ title: "", members: members.flatMap((each) => constantsOf(file, each)) }];
      return { ...base, kind: "constants", signature: `namespace ${name}`, doc: doc(statement, name), sections };
    }
    case "TSInterfaceDeclaration":
      return {
        ...base,
        kind: "interface",
        signature: headOf(file, declaration, declaration.body),
        doc: doc(statement, name),
        sections: [{ title: "", members: fieldsOf(file, declaration) }],
      };
    case "TSTypeAliasDeclaration":
      return {
        ...base,
        kind: "type",
        signature: file.textOf(declaration).replace(/;$/, ""),
        doc: doc(statement, name),
      };
    case "VariableDeclaration":
      return { ...base, ...variable(file, declaration, name), doc: doc(statement, name) };
    default:
      throw new DocsError(`${file.placeOf(statement)}: the generator does not know ${declaration?.type ?? "this"}`);
  }
}

function docOr(file: SourceFile, node: Node, what: string, missing: string[]): string {
  const doc = file.docOf(node);
  if (doc === undefined) missing.push(`${file.placeOf(node)}: ${what}`);
  return doc ?? "";
}

/** What stands before a body. */
function headOf(file: SourceFile, node: Node, body: Node): string {
  return file.slice(node.start ?? 0, body.start ?? 0);
}

/** A function that is a const reads like one; another const as its name and type. */
function variable(
  file: SourceFile,
  declaration: VariableDeclaration,
  name: string,
): Pick<Documented, "kind" | "signature"> {
  const declared = declaration.declarations.find(({ id }) => id.type === "Identifier" && id.name === name);
  const made = declared?.init;
  if (made?.type === "ArrowFunctionExpression") {
    const head = file.slice(made.start ?? 0, made.body.start ?? 0).replace(/\s*=>\s*\(?$/, "");
    return { kind: "function", signature: `function ${name}${head}` };
  }
  const type = declared?.id.type === "Identifier" ? declared.id.typeAnnotation : undefined;
  return { kind: "constant", signature: `const ${name}${type ? file.textOf(type) : ""}` };
}

function constantsOf(file: SourceFile, statement: Node): Member[] {
  const declaration = statement.type === "ExportNamedDeclaration" ? statement.declaration : undefined;
  if (declaration?.type !== "VariableDeclaration") return [];
  return declaration.declarations.map(({ id, init }) => ({
    signature: `${id.type === "Identifier" ? id.name : ""} = ${init ? file.textOf(init) : ""}`,
    doc: file.docOf(statement) ?? file.remarkOn(statement) ?? "",
  }));
}

/** A field may do without a docstring where its name and type say it all. */
function fieldsOf(file: SourceFile, declaration: TSInterfaceDeclaration): Member[] {
  return declaration.body.body.map((field) => ({
    signature: file.textOf(field).replace(/;$/, ""),
    doc: file.docOf(field) ?? "",
  }));
}

/** What a class has from a base class of the same sources. */
function inherited(file: SourceFile, declaration: ClassDeclaration, sources: Sources, missing: string[]): Section[] {
  const { superClass } = declaration;
  const base = superClass?.type === "Identifier" ? sources.classNamed(file, superClass.name) : undefined;
  if (!base) return [];
  return [
    ...inherited(base.file, base.declaration, sources, missing),
    ...classSections(base.file, base.declaration, missing),
  ];
}

type ClassMember = ClassDeclaration["body"]["body"][number];

/** Methods, accessors (a pair is one member) and fields that are not private, under the class's section comments. */
function classSections(file: SourceFile, declaration: ClassDeclaration, missing: string[]): Section[] {
  const sections: Section[] = [{ title: "", members: [] }];
  const all = declaration.body.body;
  let after = declaration.loc?.start.line ?? 0;
  for (const member of all) {
    const heading = file.sectionBefore(member, after);
    if (heading !== undefined) sections.push({ ...sentences(heading), members: [] });
    after = member.loc?.end.line ?? after;
    const described = describeMember(file, declaration, member, missing);
    if (described) sections.at(-1)?.members.push(described);
  }
  return sections.filter(({ members }) => members.length > 0);
}

/** The first sentence is the title. */
function sentences(heading: string): Pick<Section, "title" | "text"> {
  const [, title = heading, text] = /^(.*?)\.(?:\s+(.*))?$/.exec(heading) ?? [];
  return { title, ...(text ? { text } : {}) };
}

function describeMember(
  file: SourceFile,
  declaration: ClassDeclaration,
  member: ClassMember,
  missing: string[],
): Member | undefined {
  if (member.type !== "ClassMethod" && member.type !== "ClassProperty") return undefined;
  if (member.accessibility === "private" || member.accessibility === "protected") return undefined;
  if (member.key.type !== "Identifier" || member.override) return undefined;
  const name = member.key.name;
  const what = `${declaration.id?.name ?? ""}.${name}`;
  const pair = accessors(declaration, name);
  if (member.type === "ClassMethod" && (member.kind === "get" || member.kind === "set")) {
    if (member !== pair[0]) return undefined;
    const documented = pair.find((each) => file.docOf(each) !== undefined) ?? member;
    return { signature: accessorSignature(file, pair), doc: docOr(file, documented, what, missing) };
  }
  // The class's own text says what is to be said of a constructor.
  const isConstructor = member.type === "ClassMethod" && member.kind === "constructor";
  const doc = isConstructor ? (file.docOf(member) ?? "") : docOr(file, member, what, missing);
  if (member.type === "ClassProperty") return { signature: file.textOf(member).replace(/( =.*)?;$/, ""), doc };
  const head = headOf(file, member.key, member.body);
  const modifiers = member.static ? "static " : "";
  return {
    signature: isConstructor ? head.replace(/^constructor/, `new ${declaration.id?.name}`) : modifiers + head,
    doc,
  };
}

function accessors(declaration: ClassDeclaration, name: string): ClassMember[] {
  return declaration.body.body.filter(
    (each) =>
      each.type === "ClassMethod" &&
      (each.kind === "get" || each.kind === "set") &&
      each.key.type === "Identifier" &&
      each.key.name === name,
  );
}

function accessorSignature(file: SourceFile, pair: ClassMember[]): string {
  const of = (kind: string) => pair.find((each) => each.type === "ClassMethod" && each.kind === kind);
  const getter = of("get");
  const setter = of("set");
  const [source] = pair;
  if (source?.type !== "ClassMethod" || source.key.type !== "Identifier") return "";
  const type =
    getter?.type === "ClassMethod" && getter.returnType
      ? file.textOf(getter.returnType)
      : setter?.type === "ClassMethod" && setter.params[0]?.type === "Identifier" && setter.params[0].typeAnnotation
        ? file.textOf(setter.params[0].typeAnnotation)
        : "";
  return `${setter ? (getter ? "" : "set ") : "readonly "}${source.key.name}${type}`;
}
