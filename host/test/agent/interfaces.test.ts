import { expect, test } from "vitest";
import { CniError } from "../../src/agent/cni/errors.js";
import { interfacesOf } from "../../src/agent/cni/interfaces.js";

type Annotations = Record<string, string>;

const KIND = "sluice.dev/interface";
const MORE = "sluice.dev/interfaces";

/** Annotations, the interfaces as "name kind". */
const GOOD: [Annotations, string[]][] = [
  [{}, ["eth0 tap"]],
  [{ [KIND]: "memif" }, ["eth0 memif"]],
  [{ [MORE]: "net1=tap, net2=memif" }, ["eth0 tap", "net1 tap", "net2 memif"]],
  [{ [KIND]: "tap", [MORE]: "" }, ["eth0 tap"]],
];

test.each(GOOD)("annotations %j ask for %j", (annotations, expected) => {
  expect(interfacesOf(annotations, "eth0").map(({ name, kind }) => `${name} ${kind}`)).toEqual(expected);
});

/** Annotations, what the message says was found. */
const BAD: [Annotations, string][] = [
  [{ [KIND]: "bridge" }, "found bridge; allowed: one of tap, veth, memif"],
  [{ [MORE]: "net1" }, "found net1; allowed: NAME=KIND"],
  [{ [MORE]: "net1=bridge" }, "found bridge"],
  [{ [MORE]: "eth0=tap" }, "found eth0 twice"],
  [{ [MORE]: "net1=tap,net1=tap" }, "found net1 twice"],
  [{ [MORE]: "a-name-much-too-long=tap" }, "found a-name-much-too-long=tap"],
];

test.each(BAD)("annotations %j are refused", (annotations, message) => {
  const asking = () => interfacesOf(annotations, "eth0");
  expect(asking).toThrow(CniError);
  expect(asking).toThrow(message);
});
