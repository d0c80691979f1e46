// From a type as the author wrote it to what a schema can say.

import {
  type ClassDeclaration,
  type Declaration,
  type EnumDeclaration,
  EXPORT_FLAG,
  type NamedType,
  type Node,
  NodeKind,
  type TypeAlias,
} from "../ast.js";
import { textOf } from "../literals.js";
import type { ConfigClass, ConfigType } from "./model.js";
import type { Report, Rules } from "./rules.js";
import type { Scope } from "./scope.js";

const KNOWN =
  "A configuration's types are bool, numbers, string, enums, Ipv4Address, Ipv6Address, IpAddress, Prefix, PortRange, @config classes, " +
  'lists T[] of these, and Json, which the plugin reads itself, with @schema({ "type": ... })';

/** JSON's numbers are exact up to here (RFC 8259, section 6). */
const SAFE = Number.MAX_SAFE_INTEGER;
interface Bounds {
  minimum?: number;
  maximum?: number;
}
/** What the types hold. */
export const integers = new Map<string, Bounds>([
  ["u64", { minimum: 0, maximum: SAFE }],
  ["i64", { minimum: -SAFE, maximum: SAFE }],
]);
for (const bits of [8, 16, 32]) {
  integers.set(`u${bits}`, { minimum: 0, maximum: 2 ** bits - 1 });
  integers.set(`i${bits}`, { minimum: -(2 ** (bits - 1)), maximum: 2 ** (bits - 1) - 1 });
}

const sdkTypes: Record<string, ConfigType> = {
  Ipv4Address: { kind: "ipv4" },
  Ipv6Address: { kind: "ipv6" },
  IpAddress: { kind: "address" },
  Prefix: { kind: "prefix" },
  PortRange: { kind: "ports" },
};

export class TypeReader {
  constructor(
    private readonly scope: Scope,
    private readonly report: Report,
    private readonly classOf: (declaration: ClassDeclaration, use: Node) => ConfigClass | undefined,
  ) {}

  /** Undefined when the schema cannot express it, which is reported. `rules` are the field's. */
  read(node: Node, rules: Rules): ConfigType | undefined {
    if (node.kind !== NodeKind.NamedType || (node as NamedType).name.next) return this.refuse(node, node);
    const { name, typeArguments } = node as NamedType;
    const text = name.identifier.text;
    const meaning = this.scope.find(text, node.range.source);
    if (!meaning) {
      const [argument] = typeArguments ?? [];
      return text === "Array" && argument ? this.list(argument, rules) : this.plain(text, node, rules);
    }
    if ("sdk" in meaning) return this.ofSdk(meaning.sdk, node, rules);
    const { declaration } = meaning;
    if (declaration.kind === NodeKind.TypeAlias) return this.read((declaration as TypeAlias).type, rules);
    if (declaration.kind === NodeKind.Enum) return this.enumeration(declaration as EnumDeclaration, rules);
    return this.object(declaration as ClassDeclaration, node);
  }

  private refuse(node: Node, at: Node): undefined {
    this.report(at, `A configuration's schema cannot express the type '${textOf(node)}'`, KNOWN);
    return undefined;
  }

  private list(argument: Node, rules: Rules): ConfigType | undefined {
    const minItems = rules.number("minItems");
    const maxItems = rules.number("maxItems");
    const item = this.read(argument, rules);
    if ((argument as NamedType).isNullable) {
      this.report(argument, "A list's items cannot be null", "Take '| null' out");
      return undefined;
    }
    return item && { kind: "list", item, ...given({ minItems, maxItems }) };
  }

  private plain(name: string, node: Node, rules: Rules): ConfigType | undefined {
    const range = name === "f32" || name === "f64" ? {} : integers.get(name);
    if (range) return this.numeric(name, range, rules, node);
    if (name === "bool" || name === "boolean") return { kind: "boolean" };
    if (name === "string" || name === "String") return { kind: "string", ...given({ choices: rules.choices }) };
    return this.refuse(node, node);
  }

  private numeric(type: string, range: Bounds, rules: Rules, node: Node): ConfigType | undefined {
    const found = { ...range, ...given({ minimum: rules.number("minimum"), maximum: rules.number("maximum") }) };
    const { minimum: least = -Infinity, maximum: most = Infinity } = range;
    const { minimum = least, maximum = most } = found;
    if (minimum >= least && maximum <= most && minimum <= maximum) {
      const isInteger = range.minimum !== undefined;
      return isInteger ? { kind: "integer", type, minimum, maximum } : { kind: "number", type, ...found };
    }
    const at = rules.node(minimum < least ? "minimum" : "maximum") ?? node;
    const message =
      minimum > maximum ? `No number is from ${minimum} to ${maximum}` : `A ${type} is from ${least} to ${most}`;
    this.report(at, message, "Use other bounds, or another type");
    return undefined;
  }

  private ofSdk(name: string, node: Node, rules: Rules): ConfigType | undefined {
    if (name !== "Json") return sdkTypes[name] ?? this.refuse(node, node);
    const { schema } = rules;
    if (schema !== undefined) return { kind: "raw", schema };
    const remedy = 'Put its JSON schema above it, such as @schema({ "type": "object" })';
    this.report(node, "A field of type Json needs a schema", remedy);
    return undefined;
  }

  private enumeration(declaration: EnumDeclaration, rules: Rules): ConfigType | undefined {
    const members = declaration.values.map(({ name }) => name.text);
    const choices = rules.choices ?? members.map(kebab);
    if (choices.length !== members.length) {
      const message = `@oneOf has ${choices.length} names, and the enum has ${members.length} members`;
      this.report(rules.node("oneOf") ?? declaration.name, message, "Name them all, in the enum's order");
      return undefined;
    }
    return { kind: "enum", enumeration: exported(declaration), members, choices };
  }

  private object(declaration: ClassDeclaration, node: Node): ConfigType | undefined {
    if (!declaration.decorators?.some((each) => each.name.text === "config")) {
      this.report(node, `The class '${declaration.name.text}' is no part of a configuration`, "Put @config above it");
      return undefined;
    }
    const found = this.classOf(declaration, node);
    return found && { kind: "object", class: found };
  }
}

/** Makes a declaration visible to the generated entry. */
export function exported(declaration: Declaration): { path: string; name: string } {
  declaration.flags |= EXPORT_FLAG;
  return { path: declaration.range.source.internalPath, name: declaration.name.text };
}

/** "DropAll" and "DROP_ALL" are "drop-all". */
const kebab = (name: string): string =>
  name
    .replace(/([a-z0-9])([A-Z])/g, "$1-$2")
    .replaceAll("_", "-")
    .toLowerCase();

type Given<T> = { [K in keyof T]?: Exclude<T[K], undefined> };
/** Without the keys whose value is undefined. */
function given<T extends object>(values: T): Given<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Given<T>;
}
