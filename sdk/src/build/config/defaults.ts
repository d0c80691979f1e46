// The value that a configuration's field has when the configuration does not name it: the field's initializer, as JSON.

import { type Literal, LiteralKind, type New, type Node, NodeKind, type PropertyAccess } from "../ast.js";
import { literalValue, textOf } from "../literals.js";
import type { Json } from "../manifest.js";
import type { ConfigType } from "./model.js";
import type { Report } from "./rules.js";
import { integers } from "./types.js";

const LITERAL = "Write the value itself: the build reads it before the program runs";

/** Undefined: there is no value that JSON could say, such as an empty Prefix; or it was reported. */
export function defaultValue(node: Node, type: ConfigType, report: Report): Json | undefined {
  if (node.kind === NodeKind.New) return ofNew(node as New, type, report);
  if (type.kind === "list") return ofList(node, type.item, report);
  if (type.kind === "enum") return ofEnum(node, type, report);
  let isLiteral = true;
  const value = literalValue(node, (part) => {
    isLiteral = false;
    report(part, `The default '${textOf(part)}' is no literal`, LITERAL);
  });
  if (!isLiteral) return undefined;
  if (isAbsent(value, type)) return undefined;
  const problem = problemOf(value, type);
  if (problem)
    report(node, `The default ${textOf(node)} is not allowed: it must be ${problem}`, "Change the one or the other");
  return type.kind === "ipv4" ? dotted(value as number) : value;
}

function ofNew(node: New, type: ConfigType, report: Report): Json | undefined {
  if (node.args.length > 0) {
    report(node, `The default '${textOf(node)}' is no literal`, LITERAL);
    return undefined;
  }
  if (type.kind === "list") return [];
  if (type.kind !== "object") return undefined;
  const required = type.class.fields.filter(({ isRequired }) => isRequired).map(({ name }) => name);
  if (required.length === 0) return {};
  const message = `The default '${textOf(node)}' lacks what must be configured: ${required.join(", ")}`;
  report(node, message, "Give those defaults, or take this one out");
  return undefined;
}

function ofList(node: Node, item: ConfigType, report: Report): Json | undefined {
  if (node.kind === NodeKind.Literal && (node as Literal).literalKind === LiteralKind.Array) {
    const values = (node as Literal).elementExpressions.map((each) => defaultValue(each, item, report));
    return values.includes(undefined) ? undefined : (values as Json[]);
  }
  report(node, `The default '${textOf(node)}' is no list`, "Write one, such as []");
  return undefined;
}

function ofEnum(node: Node, type: ConfigType & { kind: "enum" }, report: Report): Json | undefined {
  const member = node.kind === NodeKind.PropertyAccess ? (node as PropertyAccess).property.text : "";
  const choice = type.choices[type.members.indexOf(member)];
  const { name } = type.enumeration;
  if (choice === undefined)
    report(
      node,
      `The default '${textOf(node)}' is no member of ${name}`,
      `Write ${name}.${type.members[0]}, or another`,
    );
  return choice;
}

/** A whole number that the type holds and the field's own bounds exclude says that nothing was configured. */
function isAbsent(value: Json, type: ConfigType): boolean {
  if (type.kind !== "integer" || !Number.isInteger(value)) return false;
  const { minimum = 0, maximum = 0 } = integers.get(type.type) ?? {};
  const number = value as number;
  return number >= minimum && number <= maximum && (number < type.minimum || number > type.maximum);
}

/** What a value must be and is not; undefined when all is well. */
function problemOf(value: Json, type: ConfigType): string | undefined {
  switch (type.kind) {
    case "integer":
    case "number": {
      const { minimum = -Infinity, maximum = Infinity } = type;
      const isFit = typeof value === "number" && value >= minimum && value <= maximum;
      return isFit ? undefined : `from ${minimum} to ${maximum}`;
    }
    case "boolean":
      return typeof value === "boolean" ? undefined : "true or false";
    case "string": {
      if (typeof value !== "string") return "a string";
      return type.choices?.includes(value) === false ? `one of ${type.choices.join(", ")}` : undefined;
    }
    case "ipv4":
      return typeof value === "number" ? undefined : "a number, such as 0x0a000001 for 10.0.0.1";
    default:
      return "null, or left out";
  }
}

const dotted = (address: number): string => [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join(".");
