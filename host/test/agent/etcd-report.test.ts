import { pino } from "pino";
import { afterAll, beforeAll, test } from "vitest";
import { EtcdServer } from "../../../test/support/etcd.js";
import { eventually } from "../../../test/support/process.js";
import { EtcdReport } from "../../src/agent/etcd-report.js";
import { EtcdStore } from "../../src/store/etcd-store.js";

const WAIT_MS = 20_000;
const KEY = "/sluice/v1/reports/a";

let etcd: EtcdServer;
let store: EtcdStore;
let report: EtcdReport;
let value = "1";

beforeAll(async () => {
  etcd = await EtcdServer.start();
  store = EtcdStore.open({ endpoints: [etcd.endpoint] });
  report = started();
}, WAIT_MS);
afterAll(async () => {
  await report?.close();
  await store?.close();
  await etcd?.stop();
});

function started(): EtcdReport {
  return new EtcdReport({
    store,
    prefixes: ["/sluice/v1/reports/"],
    wanted: () => new Map([[KEY, value]]),
    log: pino({ level: "silent" }),
  });
}

const holds = (key: string, expected: string | undefined) =>
  eventually(`${key}: ${expected}`, WAIT_MS, async () =>
    (await store.get(key).catch(() => ({ value: "etcd is away" })))?.value === expected ? true : undefined,
  );

test(
  "what changes is written",
  async () => {
    await holds(KEY, "1");
    value = "2";
    report.touch();
    await holds(KEY, "2");
  },
  WAIT_MS,
);

test(
  "an etcd that was emptied is filled again without a change",
  async () => {
    await etcd.empty();
    await etcd.start();
    await holds(KEY, "2");
  },
  WAIT_MS,
);

test(
  "what another process left below its prefixes goes",
  async () => {
    await report.close();
    await store.put("/sluice/v1/reports/a.old", "left");
    report = started();
    await holds("/sluice/v1/reports/a.old", undefined);
  },
  WAIT_MS,
);
