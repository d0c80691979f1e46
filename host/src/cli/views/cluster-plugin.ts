import { isDeepStrictEqual } from "node:util";
import type { PluginInfo, StageFigures } from "../../dataplane/protocol.js";
import { failuresOf } from "../../dataplane/stage-failures.js";
import { SluiceError } from "../../errors.js";
import { sum } from "../counts.js";
import { count, NARROW_WIDTH, ratio, table } from "../output.js";
import { infoRows, rowsText, type SharedInfo } from "./plugin.js";

/** What a node of a cluster says of a plugin. */
export interface NodeAnswer {
  readonly node: string;
  readonly plugin: PluginInfo;
  readonly stage: StageFigures | undefined;
}

/** What is the same on nodes that run the same: its revisions there, and the pods whose packets it sees, are a node's own. */
function common({ plugin: { revisions: _, scope: __, ...rest } }: NodeAnswer): SharedInfo {
  return rest;
}

/** @throws SluiceError "ambiguous-node" where nodes run different things by that name */
export function clusterPlugin(answers: readonly [NodeAnswer, ...NodeAnswer[]]) {
  const [first] = answers;
  const shared = common(first);
  if (answers.every((each) => isDeepStrictEqual(common(each), shared)))
    return { ...shared, nodes: answers.map(ofNode) };
  const told = answers
    .map(({ node, plugin }) => `${node} ${plugin.version} (${plugin.digest.slice(0, 12)})`)
    .join(", ");
  const message = `it is not the same on all nodes: ${told}; choose one with --name`;
  throw SluiceError.of("ambiguous-node", shared.name, message);
}

const ofNode = ({ node, plugin: { revisions, scope }, stage }: NodeAnswer) => ({
  ...{ node, revisions, scope, stage: stage ?? null },
});

/** What the nodes have in common, and a line each; all of it says a node itself. */
export function clusterPluginText({ nodes, ...shared }: ReturnType<typeof clusterPlugin>): string {
  const columns = [
    { title: "NODE" },
    { title: "STATE" },
    { title: "PACKETS", right: true },
    { title: "CYCLES/PKT", right: true },
    { title: "DROPS", right: true },
    { title: "FAILURES", right: true },
  ];
  const rows = nodes.map(({ node, stage }) => {
    if (stage === null) return [node, "not running", "", "", "", ""];
    const { state, packets, cycles, drops } = stage;
    return [node, state, count(packets), ratio(cycles, packets), count(sum(drops)), count(failuresOf(stage))];
  });
  return `${rowsText(infoRows(shared))}\n\n${table(columns, rows, NARROW_WIDTH)}`;
}
