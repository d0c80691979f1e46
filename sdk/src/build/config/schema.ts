import type { Json } from "../manifest.js";
import type { ConfigClass, ConfigField, ConfigType } from "./model.js";

type Schema = { [key: string]: Json };
const ADDRESS = "[0-9a-fA-F:.]+";

/** The JSON schema (2020-12) of a configuration. */
export function schemaOf({ fields, description }: ConfigClass): Schema {
  const required = fields.filter(({ isRequired }) => isRequired).map(({ name }) => name);
  return {
    type: "object",
    ...(description === undefined ? {} : { description }),
    additionalProperties: false,
    ...(required.length === 0 ? {} : { required }),
    properties: Object.fromEntries(fields.map((field) => [field.name, ofField(field)])),
  };
}

function ofField({ type, description, default: value }: ConfigField): Schema {
  return {
    ...ofType(type),
    ...(description === undefined ? {} : { description }),
    ...(value === undefined ? {} : { default: value }),
  };
}

function ofType(type: ConfigType): Schema {
  switch (type.kind) {
    case "integer":
      return { type: "integer", minimum: type.minimum, maximum: type.maximum };
    case "number": {
      const { kind: _, type: __, ...bounds } = type;
      return { type: "number", ...bounds };
    }
    case "boolean":
      return { type: "boolean" };
    case "string":
      return type.choices ? { enum: type.choices } : { type: "string" };
    case "enum":
      return { enum: type.choices };
    case "ipv4":
    case "ipv6":
      return { type: "string", format: type.kind };
    case "address":
      return { type: "string", anyOf: [{ format: "ipv4" }, { format: "ipv6" }] };
    case "prefix":
      return {
        ...{ type: "string", pattern: `^${ADDRESS}(/[0-9]{1,3})?$` },
        description: "an address or prefix such as 10.0.0.0/8 or fd00::/64",
      };
    case "ports":
      return {
        anyOf: [
          { type: "integer", minimum: 1, maximum: 65535 },
          { type: "string", pattern: "^[0-9]+-[0-9]+$" },
        ],
        description: 'a port or a range such as 443 or "8000-8099"',
      };
    case "raw":
      return type.schema as Schema;
    case "list": {
      const { kind: _, item, ...limits } = type;
      return { type: "array", items: ofType(item), ...limits };
    }
    case "object":
      return schemaOf(type.class);
  }
}
