import { placed } from "./explain.js";
import { checkReference, duplicateNames, duplicates } from "./relations.js";
import { HOOKS } from "./schema.js";
export function checkPlugins(node) {
    const names = node.plugins.map(({ name }) => name);
    const ports = node.ports.map(({ name }) => name);
    return [
        ...duplicateNames(node.plugins, "plugins"),
        ...node.plugins.flatMap((plugin, index) => checkPlugin(plugin, index, names, ports)),
        ...HOOKS.flatMap((hook) => checkPipeline(node.pipeline[hook] ?? [], hook, names)),
    ];
}
function checkPlugin(plugin, index, names, ports) {
    const at = ["plugins", index];
    const problems = plugin.scope.flatMap((port, position) => checkReference(port, ports, "port", [...at, "scope", position]));
    for (const key of ["before", "after"]) {
        for (const [position, other] of plugin[key].entries()) {
            const place = [...at, key, position];
            problems.push(...(other === plugin.name
                ? [placed(place, `"${other}" is the plugin itself; allowed: another plugin`)]
                : checkReference(other, names, "plugin", place)));
        }
    }
    return "digest" in plugin ? problems : [...problems, ...checkOrigins(plugin, at)];
}
function checkOrigins(plugin, at) {
    const problems = [];
    if ((plugin.source === undefined) === (plugin.module === undefined)) {
        const found = plugin.source === undefined ? "neither source nor module" : "both source and module";
        problems.push(placed(at, `found ${found}; allowed: just one of source (AssemblyScript, .ts) and module (.wasm)`));
    }
    if (plugin.source !== undefined && !plugin.source.endsWith(".ts")) {
        problems.push(placed([...at, "source"], `found "${plugin.source}"; allowed: an AssemblyScript file that ends in .ts; a .wasm goes under module`));
    }
    if (plugin.module !== undefined && !plugin.module.endsWith(".wasm")) {
        problems.push(placed([...at, "module"], `found "${plugin.module}"; allowed: a file that ends in .wasm; AssemblyScript goes under source`));
    }
    if (plugin.config !== undefined && plugin.configFile !== undefined) {
        problems.push(placed([...at, "configFile"], "config is there as well; allowed: just one of config and configFile"));
    }
    return problems;
}
function checkPipeline(order, hook, names) {
    return [
        ...order.flatMap((plugin, position) => checkReference(plugin, names, "plugin", ["pipeline", hook, position])),
        ...duplicates(order, String).map(({ index, value }) => placed(["pipeline", hook, index], `"${value}" is in the list already; allowed: each plugin once a hook`)),
    ];
}
//# sourceMappingURL=check-plugins.js.map