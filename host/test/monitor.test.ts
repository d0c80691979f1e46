import { Gauge, Registry } from "prom-client";
import { afterEach, describe, expect, test } from "vitest";
import { Monitor } from "../src/http/monitor.js";

let monitor: Monitor | undefined;
afterEach(() => monitor?.close());

async function started(
  unready: string[] = [],
  dead: string[] = [],
): Promise<(path: string, init?: RequestInit) => Promise<Response>> {
  const metrics = new Registry();
  new Gauge({ name: "sluice_test", help: "a figure", registers: [metrics] }).set(7);
  const listen = "127.0.0.1:0";
  const unserving = () => unready.filter((reason) => reason.startsWith("ports"));
  const made = await Monitor.start({ listen, metrics, unready: () => unready, unserving, dead: () => dead });
  monitor = made;
  return (path, init) => fetch(`http://127.0.0.1:${made.port}${path}`, init);
}

describe("probes", () => {
  const ROWS: [string, string[], string[], number, string][] = [
    ["/healthz", [], [], 200, "ok\n"],
    ["/healthz", ["etcd has not answered"], [], 200, "ok\n"],
    ["/healthz", [], ["the loop is stuck"], 503, "the loop is stuck\n"],
    ["/readyz", [], [], 200, "ok\n"],
    ["/readyz?verbose", ["pods: not listed", "nodes: not listed"], [], 503, "pods: not listed\nnodes: not listed\n"],
    ["/servingz", ["pods: not listed"], [], 200, "ok\n"],
    ["/servingz", ["pods: not listed", "ports: refused"], [], 503, "ports: refused\n"],
    ["/", [], [], 404, "/healthz, /readyz and /metrics are here\n"],
  ];
  test.each(ROWS)("%s, unready %j, dead %j: %i", async (path, unready, dead, status, text) => {
    const answer = await (await started(unready, dead))(path);
    expect([answer.status, await answer.text()]).toEqual([status, text]);
  });

  test("metrics are in Prometheus' form", async () => {
    const answer = await (await started())("/metrics");
    expect(answer.headers.get("content-type")).toContain("text/plain; version=0.0.4");
    expect(await answer.text()).toContain("# TYPE sluice_test gauge\nsluice_test 7\n");
  });

  test("nothing is changed by it", async () => {
    expect((await (await started())("/readyz", { method: "POST" })).status).toBe(405);
  });
});

test.each(["9465", "127.0.0.1:", ":70000", "a:b:c"])("an address that is none is refused: %s", async (listen) => {
  await expect(Monitor.start({ listen, metrics: new Registry(), unready: () => [] })).rejects.toMatchObject({
    problems: [{ code: "listen-address", path: listen }],
  });
});

test("a port that is taken is refused with its address", async () => {
  await started();
  const listen = `127.0.0.1:${monitor?.port}`;
  await expect(Monitor.start({ listen, metrics: new Registry(), unready: () => [] })).rejects.toMatchObject({
    problems: [{ code: "listen-address", path: listen }],
  });
});
