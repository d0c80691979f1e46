// What a type's name means in a source: one of the plugin's declarations, or the SDK's name.

import {
  type Declaration,
  type ExportStatement,
  type ImportStatement,
  NodeKind,
  type Parser,
  type Source,
} from "../ast.js";

const SDK = "~lib/@sluice/sdk";
const declarations: number[] = [NodeKind.Class, NodeKind.Enum, NodeKind.TypeAlias];

export type Meaning = { sdk: string } | { declaration: Declaration };

export class Scope {
  constructor(private readonly parser: Parser) {}

  /** Undefined: a name of AssemblyScript's own, or none at all. */
  find(name: string, source: Source): Meaning | undefined {
    for (const statement of source.statements) {
      const declared = declarations.includes(statement.kind) && (statement as Declaration).name.text === name;
      if (declared) return { declaration: statement as Declaration };
      if (statement.kind !== NodeKind.Import) continue;
      const { declarations: imported, internalPath } = statement as ImportStatement;
      const found = imported?.find((each) => each.name.text === name);
      if (found) return this.exported(found.foreignName.text, internalPath);
    }
    return undefined;
  }

  private exported(name: string, path: string): Meaning | undefined {
    if (path === SDK || path.startsWith(`${SDK}/`)) return { sdk: name };
    const source = this.parser.sources.find(({ internalPath }) => [path, `${path}/index`].includes(internalPath));
    if (!source) return undefined;
    for (const statement of source.statements) {
      if (statement.kind !== NodeKind.Export) continue;
      const { members, internalPath } = statement as ExportStatement;
      const member = members?.find((each) => each.exportedName.text === name);
      const isFrom = internalPath !== null && internalPath !== undefined;
      if (member)
        return isFrom ? this.exported(member.localName.text, internalPath) : this.find(member.localName.text, source);
      const found = members === null && isFrom ? this.exported(name, internalPath) : undefined;
      if (found) return found;
    }
    return this.find(name, source);
  }
}
