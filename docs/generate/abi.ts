// The tables of docs/abi.md, from sdk/abi/abi.json and the manifest's schema.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { DocsError } from "./errors.js";
import { cell } from "./markdown.js";

interface Region {
  base: string;
  size: string;
  doc: string;
}
interface Field {
  name: string;
  offset: number;
  type: string;
  size?: number;
  by: string;
  doc: string;
}
type Value = number | { value: number; doc: string };
interface Abi {
  version: number;
  memory: { pages: number; regions: Record<string, Region> };
  burst: { fields: Field[] };
  slot: {
    stride: number;
    flowOffset: number;
    flowSize: number;
    headroomOffset: number;
    headroom: number;
    headOffset: number;
    headBytesMax: number;
    fields: Field[];
  };
  enums: Record<string, Record<string, Value>>;
  imports: { module: string; functions: Record<string, { params: string[]; result: string | null; doc: string }> };
  constants: Record<string, number | string>;
  dropReasons: { name: string; value: number; doc: string }[];
}
interface ManifestSchema {
  required: string[];
  properties: Record<string, { description: string; type?: string | string[]; const?: unknown; enum?: unknown[] }>;
}

const table = (head: string[], rows: (string | number)[][]): string =>
  [head, head.map(() => "---"), ...rows]
    .map((row) => `| ${row.map((each) => cell(String(each))).join(" | ")} |`)
    .join("\n");
const hex = (value: number): string => `0x${value.toString(16).padStart(8, "0")}`;
const kib = (bytes: number): string => (bytes >= 1 << 20 ? `${bytes / (1 << 20)} MiB` : `${bytes / 1024} KiB`);
const numberOf = (value: Value): number => (typeof value === "number" ? value : value.value);
const docOf = (value: Value): string => (typeof value === "number" ? "" : value.doc);

const fields = (list: Field[]): string =>
  table(
    ["offset", "field", "type", "by", ""],
    list.map(({ offset, name, type, size, by, doc }) => [
      offset,
      `\`${name}\``,
      size === undefined ? type : `${type}[${size}]`.replace("bytes", "u8"),
      by,
      doc,
    ]),
  );

function slotParts({ slot }: Abi): string {
  const rows = [
    [0, slot.flowOffset, "metadata: the table below"],
    [slot.flowOffset, slot.flowSize, "the stage's flow slot"],
    [
      slot.headroomOffset,
      slot.headroom,
      "headroom for pushed headers; just before the head lies the link header as received",
    ],
    [slot.headOffset, slot.headBytesMax, "the packet's bytes from its L3 header, `HEAD_LENGTH` of them"],
  ];
  return table(["offset", "bytes", ""], rows);
}

/** Tables by the name of their region in the page. */
export function abiTables(root: string): Map<string, string> {
  const read = (path: string): unknown => JSON.parse(readFileSync(join(root, path), "utf8"));
  const abi = withoutComments(read("sdk/abi/abi.json")) as Abi;
  const { required, properties } = read("sdk/abi/manifest.schema.json") as ManifestSchema;
  const typeOf = ({ type, enum: values, const: only }: ManifestSchema["properties"][string]): string =>
    only !== undefined ? `\`${only}\`` : values ? values.map((v) => `\`${v}\``).join(", ") : [type].flat().join(" or ");
  const regions = Object.entries(abi.memory.regions).map(([name, { base, size, doc }]) => [
    `\`${name}\``,
    hex(Number(base)),
    kib(Number(size)),
    doc,
  ]);
  const imports = Object.entries(abi.imports.functions).map(([name, { params, result, doc }]) => [
    `\`${name}(${params.join(", ")})${result === null ? "" : ` -> ${result}`}\``,
    doc,
  ]);
  const enums = Object.entries(abi.enums).map(([name, members]): [string, string] => [
    name,
    table(
      ["value", name, ""],
      Object.entries(members).map(([member, value]) => [numberOf(value), `\`${member}\``, docOf(value)]),
    ),
  ]);
  return new Map([
    ["memory", table(["region", "address", "size", ""], regions)],
    ["burst", fields(abi.burst.fields)],
    ["slot-parts", slotParts(abi)],
    ["slot", fields(abi.slot.fields)],
    ...enums,
    ["imports", table([`import from \`${abi.imports.module}\``, ""], imports)],
    [
      "constants",
      table(
        ["constant", "value"],
        Object.entries(abi.constants).map(([n, v]) => [`\`${n}\``, `\`${v}\``]),
      ),
    ],
    [
      "drop-reasons",
      table(
        ["value", "reason", ""],
        abi.dropReasons.map((r) => [r.value, `\`${r.name}\``, r.doc]),
      ),
    ],
    [
      "manifest",
      table(
        ["field", "type", "", ""],
        Object.entries(properties).map(([name, property]) => [
          `\`${name}\``,
          typeOf(property),
          required.includes(name) ? "required" : "",
          property.description,
        ]),
      ),
    ],
  ]);
}

function withoutComments(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutComments);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => key !== "$comment")
      .map(([key, child]) => [key, withoutComments(child)]),
  );
}

/** The page with what stands between `<!-- table: NAME -->` and `<!-- end -->` made anew. Throws for an unknown name. */
export function fillTables(page: string, tables: Map<string, string>): string {
  return page.replace(
    /(<!-- table: (\S+) -->\n)[\s\S]*?(<!-- end -->)/g,
    (_all, open: string, name: string, close: string) => {
      const text = tables.get(name);
      if (text === undefined)
        throw new DocsError(`there is no table '${name}'; there are ${[...tables.keys()].join(", ")}`);
      return `${open}${text}\n${close}`;
    },
  );
}
