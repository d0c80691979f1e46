// The decorators of a configuration's fields, such as @minimum(1).

import type { Declaration, Decorator, Node } from "../ast.js";
import { literalValue } from "../literals.js";
import type { Json } from "../manifest.js";
import type { ConfigType } from "./model.js";

export const ruleNames = ["minimum", "maximum", "minItems", "maxItems", "oneOf", "schema"] as const;
export type RuleName = (typeof ruleNames)[number];
/** Code "config" is understood. */
export type Report = (node: Node, message: string, remedy: string) => void;

const isNumber = (value: Json): boolean => typeof value === "number";
const isCount = (value: Json): boolean => Number.isInteger(value) && (value as number) >= 0;
const shapes: Record<RuleName, { takes: string; test: (args: Json[]) => boolean; example: string; on: string }> = {
  minimum: { takes: "one number", test: isOne(isNumber), example: "@minimum(1)", on: "numbers" },
  maximum: { takes: "one number", test: isOne(isNumber), example: "@maximum(100)", on: "numbers" },
  minItems: { takes: "one whole number", test: isOne(isCount), example: "@minItems(1)", on: "lists" },
  maxItems: { takes: "one whole number", test: isOne(isCount), example: "@maxItems(64)", on: "lists" },
  oneOf: {
    takes: "strings, each once",
    test: (args) =>
      args.length > 0 && new Set(args).size === args.length && args.every((arg) => typeof arg === "string"),
    example: '@oneOf("allow", "deny")',
    on: "strings and enums",
  },
  schema: {
    takes: "one object, a JSON schema",
    test: isOne((value) => typeof value === "object" && value !== null && !Array.isArray(value)),
    example: '@schema({ "type": "object" })',
    on: "fields of type Json",
  },
};
function isOne(test: (value: Json) => boolean): (args: Json[]) => boolean {
  return (args) => args.length === 1 && test(args[0] as Json);
}

interface Rule {
  args: Json[];
  decorator: Decorator;
  isUsed: boolean;
}

/** The rules of one field; each must be used by the field's type. */
export class Rules {
  private readonly rules = new Map<RuleName, Rule>();

  constructor(
    field: Declaration,
    private readonly report: Report,
  ) {
    for (const decorator of field.decorators ?? []) {
      const name = decorator.name.text as RuleName;
      if (!ruleNames.includes(name)) continue;
      const { takes, test, example } = shapes[name];
      let isLiteral = true;
      const args = (decorator.args ?? []).map((arg) =>
        literalValue(arg, () => {
          isLiteral = false;
        }),
      );
      if (!isLiteral || !test(args))
        report(decorator, `@${name} takes ${takes}, written out`, `For example ${example}`);
      else this.rules.set(name, { args, decorator, isUsed: false });
    }
  }

  number(name: "minimum" | "maximum" | "minItems" | "maxItems"): number | undefined {
    return this.use(name)?.args[0] as number | undefined;
  }
  get choices(): string[] | undefined {
    return this.use("oneOf")?.args as string[] | undefined;
  }
  get schema(): Json | undefined {
    return this.use("schema")?.args[0];
  }
  /** Where a rule stands, for what is wrong about it. */
  node(name: RuleName): Node | undefined {
    return this.rules.get(name)?.decorator;
  }

  /** Reports the rules that mean nothing for the field's type. */
  checkUsed(field: Declaration): void {
    for (const [name, { decorator, isUsed }] of this.rules)
      if (!isUsed)
        this.report(decorator, `@${name} is for ${shapes[name].on}, and '${field.name.text}' is none`, "Take it out");
  }

  private use(name: RuleName): Rule | undefined {
    const rule = this.rules.get(name);
    if (rule) rule.isUsed = true;
    return rule;
  }
}

/** A list's item, of any depth. */
export const innermost = (type: ConfigType): ConfigType => (type.kind === "list" ? innermost(type.item) : type);
