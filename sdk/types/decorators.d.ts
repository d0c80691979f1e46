// What the build understands above a function or class, for editors. TypeScript knows decorators on classes only: above a
// function stands `// @ts-ignore: decorator`.

type PluginDecorator = (target: object) => void;

/** A function that gets each burst at this hook. */
declare function hook(name: "prerouting" | "forward" | "postrouting" | "input" | "output"): PluginDecorator;
/** The function that builds the tables from the configuration. */
declare function configure(target: object): void;
/** The class of the stage's state in each flow; its schema number, 1 to 255. */
declare function flowState(schema: number): PluginDecorator;
/** A function that upgrades flow states of an older schema in place. */
declare function migrate(schema: number): PluginDecorator;
