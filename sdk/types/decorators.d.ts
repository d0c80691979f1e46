// What the build understands above a function, a class or a field, for editors. TypeScript knows decorators on classes and
// fields only: above a function stands `// @ts-ignore: decorator`.

type PluginDecorator = (target: object) => void;
type FieldDecorator = (target: object, field: string) => void;

/** A function that gets each burst at this hook. */
declare function hook(name: "prerouting" | "forward" | "postrouting" | "input" | "output"): PluginDecorator;
/** The function that builds the tables from the configuration. */
declare function configure(target: object): void;
/** A function that upgrades flow states of an older schema in place. */
declare function migrate(schema: number): PluginDecorator;
/** The class of the configuration, or of an object in it. */
declare function config(target: object): void;
/** The class of the stage's state in each flow; its schema number, 1 to 255. */
declare function flowState(schema: number): PluginDecorator;

/** Of a configuration's number: the least that is allowed. */
declare function minimum(value: number): FieldDecorator;
/** Of a configuration's number: the most that is allowed. */
declare function maximum(value: number): FieldDecorator;
/** Of a configuration's list. */
declare function minItems(count: number): FieldDecorator;
/** Of a configuration's list. */
declare function maxItems(count: number): FieldDecorator;
/** Of a configuration's string or enum: all that is allowed. */
declare function oneOf(...values: string[]): FieldDecorator;
/** Of a configuration's field of type Json: its JSON schema. */
declare function schema(schema: object): FieldDecorator;
