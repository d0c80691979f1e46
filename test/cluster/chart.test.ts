import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { VERSION } from "../../host/src/version.js";
import { root } from "../support/dataplane.js";
import { CHART, template } from "./helm.js";
import { manifestFiles, valuesSchema } from "./manifests.js";

const MANIFESTS = `${root}/deploy/manifests`;

describe("deploy/manifests/ is what npm run manifests makes of the chart", () => {
  test("file by file", async () => {
    const files = await manifestFiles();
    expect(readdirSync(MANIFESTS).sort()).toEqual(files.map(({ name }) => name).sort());
    for (const { name, text } of files) expect(readFileSync(`${MANIFESTS}/${name}`, "utf8"), name).toBe(text);
  });
});

describe("the chart", () => {
  test("has a NodeConfig's schema as npm run manifests writes it", () => {
    expect(readFileSync(`${CHART}/values.schema.json`, "utf8")).toBe(valuesSchema());
  });

  test("is of the version that it installs", () => {
    const chart = parse(readFileSync(`${CHART}/Chart.yaml`, "utf8")) as Record<string, string>;
    expect([chart.version, chart.appVersion]).toEqual([VERSION, VERSION]);
  });

  test.each([
    ["a value of another name", ["--set=reflektor.replicas=2"], /reflektor/],
    ["a prefix that is none", ["--set=ipPools[0].name=p", "--set=ipPools[0].cidr=10.0.0.0"], /cidr/],
    ["a log level that there is not", ["--set=logLevel=loud"], /logLevel/],
    ["a port out of range", ["--set=etcd.clientPort=70000"], /clientPort/],
    ["a NodeConfig's field that there is not", ["--set=nodeConfig.worker=2"], /worker/],
    ["a NodeConfig's value out of range", ["--set=nodeConfig.workers=65"], /workers/],
    ["too short a time to end", ["--set=nodes.terminationGracePeriodSeconds=5"], /terminationGracePeriodSeconds/],
    [
      "two members of etcd",
      [0, 1].flatMap((at) => [
        `--set=etcd.members[${at}].node=n${at}`,
        `--set=etcd.members[${at}].address=10.0.0.${at}`,
      ]),
      /members/,
    ],
    ["an https etcd without certificates", ["--set=etcd.external.endpoints={https://10.0.0.1:2379}"], /secret/],
  ])("refuses %s", async (_, flags, reason) => {
    const { status, stderr } = await template(...flags);
    expect(status).not.toBe(0);
    expect(stderr).toMatch(reason);
  });

  test("with an etcd that exists makes none, and takes its certificates", async () => {
    const external = ["--set=etcd.external.endpoints={https://10.0.0.1:2379,https://10.0.0.2:2379}"];
    const { stdout } = await template(...external, "--set=etcd.external.secret=theirs");
    expect(stdout).not.toMatch(/kind: StatefulSet|sluice-etcd/);
    expect(stdout).toContain("--etcd=https://10.0.0.1:2379,https://10.0.0.2:2379");
    expect(stdout).toContain("secretName: theirs");
  });

  test("with three members pins each to its node, and tells each of all", async () => {
    const members = [0, 1, 2].flatMap((at) => [
      `--set=etcd.members[${at}].node=n${at}`,
      `--set=etcd.members[${at}].address=${["10.0.0.1", "10.0.0.2", "fd00::3"][at]}`,
    ]);
    const { stdout } = await template(...members);
    const cluster =
      "--initial-cluster=sluice-etcd-0=https://10.0.0.1:12380,sluice-etcd-1=https://10.0.0.2:12380,sluice-etcd-2=https://[fd00::3]:12380";
    expect(stdout.split(cluster).length - 1).toBe(3);
    for (const node of ["n0", "n1", "n2"]) expect(stdout).toContain(`kubernetes.io/hostname: ${node}`);
  });
});
