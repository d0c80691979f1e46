import { expect, test } from "vitest";
import { type ConditionInput, conditions } from "../../src/agent/conditions.js";

const GOOD: ConditionInput = { refused: [], behind: [], isDataplaneAway: false, isOtherStart: false };
const PROBLEM = { code: "no-uplink", path: "/spec/uplink/device", message: "the node has no interface eth7" };

/** Description, what is not good, the reasons of Accepted, Programmed and Ready. */
const ROWS: [string, Partial<ConditionInput>, string[]][] = [
  ["all is well", {}, ["Valid", "Programmed", "Ready"]],
  ["a NodeConfig that can't hold here", { refused: [PROBLEM] }, ["Invalid", "Programmed", "Ready"]],
  ["no dataplane", { isDataplaneAway: true, behind: [PROBLEM] }, ["Valid", "DataplaneAway", "DataplaneAway"]],
  ["another start", { isOtherStart: true }, ["Valid", "OtherStartSettings", "OtherStartSettings"]],
  ["a state that is refused", { behind: [PROBLEM, PROBLEM] }, ["Valid", "Refused", "Refused"]],
  ["etcd is away", { stale: { ...PROBLEM, code: "etcd-unavailable" } }, ["Valid", "Programmed", "ClusterViewOld"]],
];

test.each(ROWS)("%s", (_, change, reasons) => {
  const found = conditions({ ...GOOD, ...change });
  expect(found.map(({ type }) => type)).toEqual(["Accepted", "Programmed", "Ready"]);
  expect(found.map(({ reason }) => reason)).toEqual(reasons);
  const good = ["Valid", "Programmed", "Ready"];
  expect(found.map(({ status }) => status)).toEqual(
    reasons.map((reason, at) => (reason === good[at] ? "True" : "False")),
  );
});

test("a message names the first problem and counts the others", () => {
  const [, programmed] = conditions({ ...GOOD, behind: [PROBLEM, PROBLEM, PROBLEM] });
  expect(programmed?.message).toBe("no-uplink /spec/uplink/device: the node has no interface eth7; and 2 more");
});
