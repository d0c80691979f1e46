import { SluiceError } from "../errors.js";
/**
 * The order in which the stages of one hook run.
 * @param given the order that the node file lists for the hook, if it does; it must not contradict before and after
 * @throws SluiceError "impossible-order" with the cycle spelled out
 */
export function orderStages(hook, stages, given) {
    const edges = edgesOf(stages, given ?? []);
    const waiting = new Map(stages.map((stage) => [stage.name, stage]));
    const ordered = [];
    while (waiting.size > 0) {
        const ready = [...waiting.values()].filter(({ name }) => !edges.some(({ from, to }) => to === name && waiting.has(from)));
        const next = ready.sort((a, b) => a.priority - b.priority || compare(a.name, b.name))[0];
        if (next === undefined)
            throw impossible(hook, findCycle(edges, [...waiting.keys()]));
        ordered.push(next.name);
        waiting.delete(next.name);
    }
    return ordered;
}
function edgesOf(stages, given) {
    const present = new Set(stages.map(({ name }) => name));
    const asked = stages.flatMap(({ name, before, after }) => [
        ...before.map((other) => ({ from: name, to: other, because: `${name} has before: ${other}` })),
        ...after.map((other) => ({ from: other, to: name, because: `${name} has after: ${other}` })),
    ]);
    const listed = given.slice(1).map((to, index) => {
        const from = given[index] ?? "";
        return { from, to, because: `pipeline lists ${from} before ${to}` };
    });
    return [...asked, ...listed].filter(({ from, to }) => present.has(from) && present.has(to));
}
/** Every stage that waits has one before it that waits: walking backwards must come round. */
function findCycle(edges, waiting) {
    const path = [];
    let at = [...waiting].sort(compare)[0] ?? "";
    for (;;) {
        const edge = edges.find(({ from, to }) => to === at && waiting.includes(from));
        if (edge === undefined)
            return path;
        path.unshift(edge);
        at = edge.from;
        const end = path.findIndex(({ to }) => to === at);
        if (end >= 0)
            return path.slice(0, end + 1);
    }
}
function impossible(hook, cycle) {
    const round = [...cycle.map(({ from }) => from), cycle[0]?.from ?? ""].join(" -> ");
    const reasons = cycle.map(({ because }) => because).join(", ");
    return SluiceError.of("impossible-order", `/pipeline/${hook}`, `${round} (${reasons}); take one of these constraints away`);
}
function compare(a, b) {
    return a < b ? -1 : a > b ? 1 : 0;
}
//# sourceMappingURL=order.js.map