// Writes the constants of abi.json for C++, C, AssemblyScript and TypeScript. Usage: node sdk/abi/generate.mjs
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "../..");
const abi = JSON.parse(readFileSync(join(here, "abi.json"), "utf8"));

const entries = (object) => Object.entries(object).filter(([key]) => key !== "$comment");
const numberOf = (entry) => (typeof entry === "object" ? entry.value : entry);
const pascal = (name) => name.replace(/(^|[-_])([a-z])/g, (_all, _dash, letter) => letter.toUpperCase());
const notice = "Generated from sdk/abi/abi.json by sdk/abi/generate.mjs. Do not edit.";
const header = `// ${notice}\n`;

/** Every plain number of the ABI as [NAME, value, doc]. */
function numbers() {
  const rows = [
    ["ABI_VERSION", abi.version, "Version of this contract"],
    ["MEMORY_PAGES", abi.memory.pages, "64 KiB pages"],
  ];
  for (const [name, region] of entries(abi.memory.regions)) {
    rows.push([`${name}_BASE`, Number(region.base), region.doc], [`${name}_SIZE`, Number(region.size), "bytes"]);
  }
  rows.push(["MAX_SLOTS", abi.burst.maxSlots, "Slots in the window"]);
  rows.push(["SLOTS_OFFSET", abi.burst.slotsOffset, "of the first slot, from WINDOW_BASE"]);
  rows.push(["SLOT_LIST_OFFSET", abi.burst.slotListOffset, abi.burst.slotListDoc]);
  for (const field of abi.burst.fields)
    rows.push([`BURST_${field.name}`, field.offset, `${field.type}, by ${field.by}: ${field.doc}`]);
  rows.push(
    ["SLOT_STRIDE", abi.slot.stride, "bytes from slot to slot"],
    ["SLOT_FLOW_STATE", abi.slot.flowOffset, "the stage's flow slot"],
  );
  rows.push(
    ["SLOT_FLOW_STATE_SIZE", abi.slot.flowSize, "bytes"],
    ["SLOT_HEADROOM", abi.slot.headroom, "bytes for pushes"],
  );
  rows.push(
    ["SLOT_HEADROOM_OFFSET", abi.slot.headroomOffset, ""],
    ["SLOT_HEAD_OFFSET", abi.slot.headOffset, "where a packet's head starts"],
  );
  rows.push(["SLOT_HEAD_BYTES_MAX", abi.slot.headBytesMax, ""]);
  for (const field of abi.slot.fields)
    rows.push([`SLOT_${field.name}`, field.offset, `${field.type}, by ${field.by}: ${field.doc}`]);
  const errorText = abi.burst.fields.find((field) => field.name === "ERROR_TEXT");
  rows.push(["BURST_ERROR_TEXT_SIZE", errorText.size, "bytes"]);
  for (const [name, value] of entries(abi.constants)) if (typeof value === "number") rows.push([name, value, ""]);
  return rows;
}

const strings = () => entries(abi.constants).filter(([, value]) => typeof value === "string");
const doc = (text) => (text ? `  // ${text}` : "");
const docstring = (text) => (text ? `\n/** ${text}. */\n` : "");
const write = (path, text) => {
  const file = join(root, path);
  mkdirSync(dirname(file), { recursive: true });
  // What is the same keeps its time: nothing that was built from it is built again.
  if (!existsSync(file) || readFileSync(file, "utf8") !== text) writeFileSync(file, text);
};

function cpp() {
  const camel = (name) => `k${name.toLowerCase().replace(/(^|_)([a-z])/g, (_a, _b, l) => l.toUpperCase())}`;
  let out = `${header}#pragma once\n\n#include <cstdint>\n\nnamespace sluice::abi {\n\n`;
  for (const [name, value, note] of numbers()) {
    const id = name in abi.constants ? name : camel(name);
    out += `constexpr uint32_t ${id} = ${value};${doc(note)}\n`;
  }
  for (const [name, value] of strings()) out += `constexpr const char* ${name} = "${value}";\n`;
  for (const [name, members] of entries(abi.enums)) {
    const type = name === "Flag" ? "uint16_t" : "uint8_t";
    out += `\nenum class ${name} : ${type} {\n`;
    for (const [member, entry] of entries(members)) out += `  ${member} = ${numberOf(entry)},${doc(entry.doc)}\n`;
    out += "};\n";
  }
  out += "\nenum class DropReason : uint16_t {\n";
  for (const reason of abi.dropReasons) out += `  ${pascal(reason.name)} = ${reason.value},${doc(reason.doc)}\n`;
  out += `};\nconstexpr uint16_t kDropReasonCount = ${abi.dropReasons.length};\n`;
  out +=
    "\n/// By number; the names that status, logs and metrics show.\nconstexpr const char* kDropReasonNames[] = {\n";
  for (const reason of abi.dropReasons) out += `    "${reason.name}",\n`;
  return `${out}};\n${cppImports()}\n}  // namespace sluice::abi\n`;
}

function cppImports() {
  const bytes = { i32: "\\x7f", i64: "\\x7e" };
  const names = entries(abi.imports.functions).map(([name]) => pascal(name));
  let out = `\n/// Functions that a module may import from IMPORT_MODULE.\n`;
  out += `enum class Import : uint8_t { ${names.join(", ")} };\n`;
  out += "struct ImportType {\n  const char* name;\n  const char* params;  // WebAssembly's value type bytes\n";
  out += "  const char* results;\n};\n/// By Import.\nconstexpr ImportType kImports[] = {\n";
  for (const [name, { params, result }] of entries(abi.imports.functions)) {
    const types = params.map((each) => bytes[each.split(": ")[1]]).join("");
    out += `    {"${name}", "${types}", "${result === null ? "" : bytes[result]}"},\n`;
  }
  return `${out}};\n`;
}

/** A C struct with these fields at their offsets; `end`: offset behind the last one. */
function cStruct(name, fields, end) {
  const sizes = { u8: 1, u16: 2, u32: 4, u64: 8 };
  let out = `\ntypedef struct {\n`;
  let at = 0;
  for (const { name: field, offset, type, size, by, doc: note } of fields) {
    if (offset !== at) throw new Error(`abi.json: ${name}.${field} is at ${offset}, after a field that ends at ${at}`);
    const id = field.toLowerCase();
    const declaration = type === "bytes" ? `uint8_t ${id}[${size}]` : `uint${sizes[type] * 8}_t ${id}`;
    out += `  ${declaration}; /* by ${by}: ${note} */\n`;
    at += size ?? sizes[type];
  }
  if (end !== undefined && at !== end) throw new Error(`abi.json: ${name} ends at ${at}, must be ${end}`);
  // A struct ends with padding up to its widest field.
  return `${out}} ${name};\n_Static_assert(sizeof(${name}) == ${Math.ceil(at / 8) * 8}, "");\n`;
}

/** For stages in C; docs/abi.md says what it means. */
function c() {
  const note = (text) => (text ? ` /* ${text} */` : "");
  const screaming = (name) =>
    name
      .replace(/([a-z])([A-Z])/g, "$1_$2")
      .replaceAll("-", "_")
      .toUpperCase();
  let out = `/* ${notice} */\n#ifndef SLUICE_ABI_H\n#define SLUICE_ABI_H\n\n#include <stdint.h>\n\n`;
  const inStructs = new Set([
    ...abi.burst.fields.map(({ name }) => `BURST_${name}`),
    ...abi.slot.fields.map(({ name }) => `SLOT_${name}`),
  ]);
  for (const [name, value, text] of numbers()) {
    if (!inStructs.has(name)) out += `#define SLUICE_${name} ${value}u${note(text)}\n`;
  }
  for (const [name, value] of strings()) out += `#define SLUICE_${name} "${value}"\n`;
  for (const [name, members] of [...entries(abi.enums), ["Drop", reasonMembers()]]) {
    out += "\n";
    for (const [member, entry] of entries(members)) {
      out += `#define SLUICE_${screaming(name)}_${screaming(member)} ${numberOf(entry)}u${note(entry.doc)}\n`;
    }
  }
  out += cStruct("sluice_burst", abi.burst.fields);
  out += cStruct("sluice_slot", abi.slot.fields, abi.slot.flowOffset);
  for (const [name, { params, result, doc: text }] of entries(abi.imports.functions)) {
    const parameters = params.map((each) => each.split(": ")).map(([id, type]) => `${cTypes[type]} ${id}`);
    out += `\n/* ${text} */\n__attribute__((import_module("${abi.imports.module}"), import_name("${name}")))\n`;
    out += `${result === null ? "void" : cTypes[result]} sluice_${name}(${parameters.join(", ")});\n`;
  }
  return `${out}\n#endif\n`;
}

const cTypes = { i32: "int32_t", i64: "int64_t" };
const reasonMembers = () => Object.fromEntries(abi.dropReasons.map((reason) => [reason.name, reason]));

function assemblyScript() {
  let out = header;
  for (const [name, value, note] of numbers()) {
    const type = name.endsWith("_BASE") || name.endsWith("_SIZE") || /^(SLOT|BURST)_/.test(name) ? "usize" : "i32";
    out += docstring(abi.constants.$comment[name]);
    out += `// @ts-ignore: decorator\n@inline export const ${name}: ${type} = ${value};${doc(note)}\n`;
  }
  for (const [name, value] of strings()) out += `export const ${name}: string = "${value}";\n`;
  for (const [name, members] of entries(abi.enums)) {
    out += `${docstring(members.$comment)}export namespace ${name} {\n`;
    for (const [member, entry] of entries(members)) {
      out += `  // @ts-ignore: decorator\n  @inline export const ${member}: i32 = ${numberOf(entry)};${doc(entry.doc)}\n`;
    }
    out += "}\n";
  }
  out +=
    "\n/** Why packets are dropped; a stage's own reasons are made by dropReason(). */\nexport namespace DropReason {\n";
  for (const reason of abi.dropReasons) {
    out += `  // @ts-ignore: decorator\n  @inline export const ${pascal(reason.name)}: i32 = ${reason.value};${doc(reason.doc)}\n`;
  }
  out += "}\n";
  for (const [name, { params, result, doc: text }] of entries(abi.imports.functions)) {
    out += `${docstring(text)}// @ts-ignore: decorator\n@external("${abi.imports.module}", "${name}")\n`;
    out += `export declare function ${name}(${params.join(", ")}): ${result ?? "void"};\n`;
  }
  return out;
}

function typeScript() {
  let out = header;
  for (const [name, value, note] of numbers()) out += `export const ${name} = ${value};${doc(note)}\n`;
  for (const [name, value] of strings()) out += `export const ${name} = "${value}";\n`;
  for (const [name, members] of entries(abi.enums)) {
    out += `\nexport const ${name} = {\n`;
    for (const [member, entry] of entries(members)) out += `  ${member}: ${numberOf(entry)},${doc(entry.doc)}\n`;
    out += "} as const;\n";
  }
  out += "\n/** By number; the names that status, logs and metrics show. */\nexport const dropReasonNames = [\n";
  for (const reason of abi.dropReasons) out += `  "${reason.name}",\n`;
  out += "] as const;\n\n/** In words, by number. */\nexport const dropReasonDocs: readonly string[] = [\n";
  for (const reason of abi.dropReasons) out += `  ${JSON.stringify(reason.doc)},\n`;
  out += `];\n\n/** Host functions that a module may import from '${abi.imports.module}': types of parameters and result. */\n`;
  out += "export const importFunctions = {\n";
  for (const [name, { params, result }] of entries(abi.imports.functions)) {
    const list = (types) => `[${types.map((type) => `"${type}"`).join(", ")}]`;
    const types = params.map((each) => each.split(": ")[1]);
    out += `  ${name}: { parameters: ${list(types)}, results: ${list(result === null ? [] : [result])} },\n`;
  }
  return `${out}} as const;\n`;
}

abi.dropReasons.forEach((reason, index) => {
  if (reason.value !== index)
    throw new Error(`abi.json: dropReasons[${index}].value is ${reason.value}, must be ${index}`);
});
write("native/src/generated/abi.h", cpp());
write("sdk/include/generated/sluice_abi.h", c());
write("sdk/assembly/generated/abi.ts", assemblyScript());
write("sdk/src/generated/abi.ts", typeScript());
