import { z } from "zod";
import type { SluiceError } from "../errors.js";
import type { KubeApi, KubeObject, NamespacedName } from "./api.js";
import { Informer } from "./informer.js";

export interface EndpointsHandler {
  /** "address:port" of all that are ready, sorted; told when they are others. */
  changed(endpoints: readonly string[]): void;
  /** Changes do not come for now; it is tried until they do. */
  failed(error: SluiceError): void;
}

const sliceSchema = z.object({
  endpoints: z
    .array(
      z.object({ addresses: z.array(z.string()), conditions: z.object({ ready: z.boolean().optional() }).optional() }),
    )
    .nullish(),
  ports: z.array(z.object({ name: z.string().nullish(), port: z.number().optional() })).nullish(),
});

/** Tells where the service's port named `port` leads, from the API's EndpointSlices, until `signal` is aborted. */
export async function followEndpoints(
  api: KubeApi,
  { namespace, name }: NamespacedName,
  port: string,
  handler: EndpointsHandler,
  signal: AbortSignal,
): Promise<void> {
  const slices = new Map<string, readonly string[]>();
  let last = "";
  const tell = () => {
    const endpoints = [...new Set([...slices.values()].flat())].sort();
    if (endpoints.join() === last) return;
    last = endpoints.join();
    handler.changed(endpoints);
  };
  let isListing = false;
  const informer = new Informer(
    api,
    `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`,
    {
      listing: () => {
        isListing = true;
        slices.clear();
      },
      listed: () => {
        isListing = false;
        tell();
      },
      changed: (slice) => {
        slices.set(slice.metadata.name, endpointsOf(slice, port));
        if (!isListing) tell();
      },
      deleted: ({ metadata }) => {
        slices.delete(metadata.name);
        tell();
      },
      failed: (error) => handler.failed(error),
    },
    { selector: `kubernetes.io/service-name=${name}` },
  );
  await informer.run(signal);
}

/** A slice that can't be read has none. */
function endpointsOf(slice: KubeObject, name: string): string[] {
  const { success, data } = sliceSchema.safeParse(slice);
  const port = data?.ports?.find((each) => each.name === name)?.port;
  if (!success || port === undefined) return [];
  const ready = (data.endpoints ?? []).filter(({ conditions }) => conditions?.ready !== false);
  return ready.flatMap(({ addresses }) =>
    addresses.map((address) => (address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`)),
  );
}
