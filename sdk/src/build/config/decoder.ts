// Writes the AssemblyScript that makes an object of a configuration class from the configuration's text. The functions that
// it calls are in assembly/config.ts.

import type { ConfigClass, ConfigField, ConfigType, TypeReference } from "./model.js";

const FROM = "$sluice";

/** The decoders of one configuration's classes and lists. */
export class DecoderWriter {
  private readonly parts: string[] = [];
  private readonly imports = new Map<string, string>();
  private readonly decoders = new Map<string, string>();

  /** The imports, constants and functions that were needed so far. */
  get source(): string {
    return [...this.imports.values(), ...this.parts].join("\n");
  }

  /** The name by which the generated source knows a declaration of the plugin's. */
  use({ path, name }: TypeReference): string {
    const key = `${path}/${name}`;
    const local = `${FROM}Type${this.imports.size}`;
    if (!this.imports.has(key)) this.imports.set(key, `import { ${name} as ${local} } from "./${path}";`);
    return / as (\S+) /.exec(this.imports.get(key) as string)?.[1] as string;
  }

  /** The name of the function that reads an object of a class. */
  decoder(of: ConfigClass): string {
    return this.define(`class ${of.reference.path}/${of.reference.name}`, (name) => {
      const type = this.use(of.reference);
      const required = of.fields.filter(({ isRequired }) => isRequired);
      const names = of.fields.map((field) => field.name).join(", ");
      const cases = of.fields.map((field) => this.member(field));
      return [
        `function ${name}(from: Json): ${type} {`,
        `  const into = new ${type}();`,
        "  into.__json = changetype<usize>(from);",
        ...required.map((field) => `  let has_${field.name} = false;`),
        "  for (let member = $config.membersOf(from); member.isPresent; member = member.next) {",
        `    ${[...cases, `$config.refuseKey(member, ${JSON.stringify(names)});`].join("\n    else ")}`,
        "  }",
        ...required.map(
          (field) => `  if (!has_${field.name}) $config.refuseAbsent(from, ${JSON.stringify(field.name)});`,
        ),
        "  return into;",
        "}",
      ];
    });
  }

  private member({ name, type, isRequired }: ConfigField): string {
    const notes = isRequired ? ` has_${name} = true;` : "";
    return `if (member.isNamed(${JSON.stringify(name)})) { into.${name} = ${this.value(type, "member")};${notes} }`;
  }

  /** The expression that reads a value. */
  private value(type: ConfigType, from: string): string {
    switch (type.kind) {
      case "integer":
        return `<${type.type}>${from}.integer(${type.minimum}, ${type.maximum})`;
      case "number": {
        const { minimum: least = "-Infinity", maximum: most = "Infinity" } = type;
        return `<${type.type}>$config.readNumber(${from}, ${least}, ${most}, ${JSON.stringify(rangeOf(type))})`;
      }
      case "boolean":
        return `${from}.boolean()`;
      case "string":
        return type.choices ? `$config.readChoice(${from}, ${this.choices(type.choices)})` : `${from}.text()`;
      case "enum":
        return this.enumerator(type, from);
      case "ipv4":
        return `${from}.address4()`;
      case "ipv6":
        return `$config.readAddress6(${from})`;
      case "address":
        return `$config.readAddress(${from})`;
      case "prefix":
        return `$config.readPrefix(${from})`;
      case "ports":
        return `$config.readPortRange(${from})`;
      case "raw":
        return from;
      case "list":
        return `${this.listDecoder(type)}(${from})`;
      case "object":
        return `${this.decoder(type.class)}(${from})`;
    }
  }

  private enumerator(type: ConfigType & { kind: "enum" }, from: string): string {
    const local = this.use(type.enumeration);
    const members = type.members.map((member) => `${local}.${member}`).join(", ");
    const values = this.define(`enum ${members}`, (name) => [`const ${name}: StaticArray<i32> = [${members}];`]);
    return `<${local}>${values}[$config.choiceIndex(${from}, ${this.choices(type.choices)})]`;
  }

  private choices(choices: string[]): string {
    const list = JSON.stringify(choices);
    return this.define(`choices ${list}`, (name) => [`const ${name}: StaticArray<string> = ${list};`]);
  }

  private listDecoder(type: ConfigType & { kind: "list" }): string {
    const item = this.typeName(type.item);
    const value = this.value(type.item, "item");
    const { minItems = 0, maxItems = 0x7fffffff } = type;
    return this.define(`list ${minItems} ${maxItems} ${value}`, (name) => [
      `function ${name}(from: Json): Array<${item}> {`,
      `  const count = $config.countItems(from, ${minItems}, ${maxItems}, sizeof<${item}>());`,
      `  const into = new Array<${item}>(count);`,
      "  let item = count == 0 ? $config.absent() : from.first;",
      `  for (let i = 0; i < count && $config.hasRoom(item); i++, item = item.next) into[i] = ${value};`,
      "  return into;",
      "}",
    ]);
  }

  /** The type as the generated source writes it. */
  private typeName(type: ConfigType): string {
    switch (type.kind) {
      case "integer":
      case "number":
        return type.type;
      case "enum":
        return this.use(type.enumeration);
      case "list":
        return `Array<${this.typeName(type.item)}>`;
      case "object":
        return this.use(type.class.reference);
      default:
        return {
          boolean: "bool",
          string: "string",
          ipv4: "u32",
          ipv6: "Ipv6Address",
          address: "IpAddress",
          prefix: "Prefix",
          ports: "PortRange",
          raw: "Json",
        }[type.kind];
    }
  }

  /** A definition, written once for each key; returns its name. */
  private define(key: string, write: (name: string) => string[]): string {
    const known = this.decoders.get(key);
    if (known !== undefined) return known;
    const name = `${FROM}${this.decoders.size}`;
    this.decoders.set(key, name);
    this.parts.push(write(name).join("\n"));
    return name;
  }
}

const rangeOf = ({ minimum, maximum }: { minimum?: number; maximum?: number }): string =>
  [minimum === undefined ? "" : `at least ${minimum}`, maximum === undefined ? "" : `at most ${maximum}`]
    .filter((part) => part !== "")
    .join(" and ");
