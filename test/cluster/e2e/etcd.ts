import { SLUICE_ETCD_PORT } from "../address-plan.js";
import type { Cluster } from "../cluster.js";

interface Range {
  kvs?: { key: string; value: string }[];
}

/** The records below a prefix in Sluice's etcd, in the order of their keys. */
export async function etcdRecords<T>({ control }: Cluster, prefix: string): Promise<T[]> {
  const end = prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
  const base64 = (text: string) => Buffer.from(text).toString("base64");
  const query = JSON.stringify({ key: base64(prefix), range_end: base64(end) });
  const url = `http://127.0.0.1:${SLUICE_ETCD_PORT}/v3/kv/range`;
  const { kvs = [] } = JSON.parse(await control.namespace.must(["curl", "-sf", "-d", query, url])) as Range;
  return kvs.map(({ value }) => JSON.parse(Buffer.from(value, "base64").toString()) as T);
}
