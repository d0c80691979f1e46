// A configuration class as the build understands it: what the JSON schema and the decoder are derived from.

import type { Place } from "../errors.js";
import type { Json } from "../manifest.js";

/** A declaration of the plugin's, to import: the file's path without extension, from the entry's folder, and the name. */
export interface TypeReference {
  path: string;
  name: string;
}
export type ConfigType =
  /** `type` is AssemblyScript's name; bounds are inclusive. */
  | { kind: "integer"; type: string; minimum: number; maximum: number }
  | { kind: "number"; type: string; minimum?: number; maximum?: number }
  | { kind: "boolean" | "ipv4" | "ipv6" | "address" | "prefix" | "ports" }
  | { kind: "string"; choices?: string[] }
  /** The choices in the order of the enum's members. */
  | { kind: "enum"; enumeration: TypeReference; members: string[]; choices: string[] }
  /** A Json: the plugin reads it itself; the schema is the author's. */
  | { kind: "raw"; schema: Json }
  | { kind: "list"; item: ConfigType; minItems?: number; maxItems?: number }
  | { kind: "object"; class: ConfigClass };

export interface ConfigField {
  name: string;
  type: ConfigType;
  isNullable: boolean;
  isRequired: boolean;
  default?: Json;
  description?: string;
  at: Place;
}
export interface ConfigClass {
  reference: TypeReference;
  description?: string;
  fields: ConfigField[];
  at: Place;
}

/** True for what has a fixed place in the class's own bytes, so that a copy of those is whole. */
export const isScalar = (type: ConfigType): boolean =>
  ["integer", "number", "boolean", "ipv4", "enum"].includes(type.kind);
