// What a source file declares and says about it: AssemblyScript's of the SDK's library and TypeScript's of its tools.

import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { parse } from "@babel/parser";
import type { ClassDeclaration, Comment, File, Node, Statement } from "@babel/types";
import { DocsError } from "./errors.js";

/** A file that was read, with the declarations that it exports by name. */
export class SourceFile {
  readonly text: string;
  readonly ast: File;

  /** `root`: the folder that places in errors are told from. */
  constructor(
    readonly path: string,
    readonly root: string,
  ) {
    this.text = readFileSync(path, "utf8");
    this.ast = parse(withoutDecorators(this.text), {
      sourceType: "module",
      attachComment: true,
      plugins: ["typescript", "decorators"],
    });
  }

  /** "sdk/assembly/packet.ts:12", for errors. */
  placeOf(node: Node): string {
    return `${relative(this.root, this.path)}:${node.loc?.start.line ?? 1}`;
  }

  textOf(node: Node): string {
    return this.slice(node.start ?? 0, node.end ?? 0);
  }

  /** A part of the text on one line. */
  slice(start: number, end: number): string {
    const line = this.text.slice(start, end).replace(/\s+/g, " ").trim();
    return line.replaceAll("( ", "(").replaceAll(", )", ")").replace(/= \| /, "= ");
  }

  /** The block comment before a declaration, without its stars; undefined without one. */
  docOf(node: Node): string | undefined {
    const block = node.leadingComments?.findLast((comment) => comment.type === "CommentBlock");
    return block?.value.startsWith("*") ? plainDoc(block.value) : undefined;
  }

  /**
   * The text of `//` comments that stand alone before a member, as a heading of those that follow; undefined without.
   * `after`: line on which the member before ends.
   */
  sectionBefore(node: Node, after: number): string | undefined {
    const lines = (node.leadingComments ?? []).filter((comment) => isOwnLine(comment, after));
    const last = lines.at(-1)?.loc?.end.line;
    if (last === undefined || this.text.split("\n")[last]?.trim() !== "") return undefined;
    return lines.map((comment) => comment.value.trim()).join(" ");
  }

  /** The `//` comment behind a node, on its line. */
  remarkOn(node: Node): string | undefined {
    const line = node.loc?.end.line;
    const remark = node.trailingComments?.find((each) => each.type === "CommentLine" && each.loc?.start.line === line);
    return remark?.value.trim();
  }
}

const isOwnLine = (comment: Comment, after: number): boolean =>
  comment.type === "CommentLine" && !comment.value.includes("@ts-ignore") && (comment.loc?.start.line ?? 0) > after;

/** AssemblyScript's decorators stand where TypeScript has none: they are blanked, and all else keeps its place. */
function withoutDecorators(text: string): string {
  return text.replace(/^([ \t]*)((?:@\w+(?:\([^)\n]*\))?[ \t]*)+)/gm, (_all, indent: string, decorators: string) =>
    [indent, " ".repeat(decorators.length)].join(""),
  );
}

function plainDoc(comment: string): string {
  const lines = comment
    .slice(1)
    .split("\n")
    .map((line) => line.replace(/^\s*\* ?/, "").trimEnd());
  return lines.join("\n").trim();
}

/** An exported declaration, and where it stands. */
export interface Exported {
  name: string;
  file: SourceFile;
  /** The statement with the comments. */
  statement: Statement;
}

/** Reads files once and follows `export ... from`. */
export class Sources {
  private readonly files = new Map<string, SourceFile>();

  constructor(private readonly root: string) {}

  read(path: string): SourceFile {
    const known = this.files.get(path);
    if (known) return known;
    const file = new SourceFile(path, this.root);
    this.files.set(path, file);
    return file;
  }

  /** All that a module exports, in its order. Throws when a name is re-exported from a file that lacks it. */
  exportsOf(path: string): Exported[] {
    const file = this.read(path);
    return file.ast.program.body.flatMap((statement) => {
      if (statement.type !== "ExportNamedDeclaration") return [];
      if (statement.source) {
        const from = sourcePath(path, statement.source.value);
        return statement.specifiers.map((specifier) => this.find(from, exportedName(specifier)));
      }
      return declaredNames(statement).map((name) => ({ name, file, statement }));
    });
  }

  /** The class of this name that a file has or imports; undefined when it is of a package or of the language. */
  classNamed(file: SourceFile, name: string): { file: SourceFile; declaration: ClassDeclaration } | undefined {
    for (const statement of file.ast.program.body) {
      const declaration = statement.type === "ExportNamedDeclaration" ? statement.declaration : statement;
      if (declaration?.type === "ClassDeclaration" && declaration.id?.name === name) return { file, declaration };
      const isImported =
        statement.type === "ImportDeclaration" &&
        statement.source.value.startsWith(".") &&
        statement.specifiers.some((specifier) => specifier.local.name === name);
      if (isImported) return this.classNamed(this.read(sourcePath(file.path, statement.source.value)), name);
    }
    return undefined;
  }

  private find(path: string, name: string): Exported {
    const found = this.exportsOf(path).find((each) => each.name === name);
    if (!found) throw new DocsError(`${relative(this.root, path)} exports no ${name}`);
    return found;
  }
}

/** "./packet" in AssemblyScript, which may be a folder; "./packet.js" in TypeScript. */
function sourcePath(from: string, specifier: string): string {
  const path = join(dirname(from), specifier.replace(/\.js$/, ""));
  return existsSync(`${path}.ts`) ? `${path}.ts` : join(path, "index.ts");
}

function exportedName(specifier: Node): string {
  if (specifier.type !== "ExportSpecifier" || specifier.exported.type !== "Identifier")
    throw new DocsError(`an export of kind ${specifier.type} is not for this generator`);
  return specifier.exported.name;
}

function declaredNames(statement: Statement): string[] {
  const declaration = statement.type === "ExportNamedDeclaration" ? statement.declaration : undefined;
  if (!declaration) return [];
  if (declaration.type === "VariableDeclaration")
    return declaration.declarations.flatMap(({ id }) => (id.type === "Identifier" ? [id.name] : []));
  if ("id" in declaration && declaration.id?.type === "Identifier") return [declaration.id.name];
  return [];
}
