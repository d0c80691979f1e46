import { EtcdStore } from "@sluice/host/dist/store/etcd-store.js";
import type { Cleanup } from "./cleanup.js";
import { EtcdServer } from "./etcd.js";

/** A real etcd, and Sluice's client of it, for a test that writes records in the reflector's place. */
export async function startEtcdStore(cleanup: Cleanup): Promise<{ etcd: EtcdServer; store: EtcdStore }> {
  const etcd = await EtcdServer.start();
  cleanup.defer("etcd", () => etcd.stop());
  const store = EtcdStore.open({ endpoints: [etcd.endpoint] });
  cleanup.defer("etcd's client", () => store.close());
  return { etcd, store };
}
