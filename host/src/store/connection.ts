import { readFileSync } from "node:fs";
import { InterceptingCall, type Interceptor } from "@grpc/grpc-js";
import { noop } from "cockatiel";
import { Etcd3 } from "etcd3";
import { messageOf, SluiceError } from "../errors.js";

/** Files in PEM form. */
export interface EtcdTls {
  readonly ca: string;
  /** The client's own, where etcd asks for one. */
  readonly cert?: string;
  readonly key?: string;
  /** The name that etcd's certificate is to have; absent: that of the endpoint. */
  readonly serverName?: string;
}

export interface EtcdOptions {
  /** "http://host:port" or "https://host:port", all of one kind. */
  readonly endpoints: readonly string[];
  readonly tls?: EtcdTls;
}

/** Of one request; a watch has none. */
const DEADLINE_MS = 10_000;
/** A page of large records, or what a watch has to catch up with. */
const MAX_MESSAGE_BYTES = 128 << 20;

/**
 * etcd3 without its own retries and circuit breaker: a write that may have been done must not be done again behind its
 * caller's back, and a server that is back is to be used at once.
 *
 * @throws SluiceError "etcd-endpoint", "etcd-tls"
 */
export function connect(options: EtcdOptions): Etcd3 {
  const secure = checkEndpoints(options);
  return new Etcd3({
    hosts: [...options.endpoints],
    ...(secure && options.tls !== undefined ? { credentials: credentialsOf(options.tls) } : {}),
    faultHandling: { host: () => noop, global: noop },
    defaultCallOptions: ({ isStream }) =>
      isStream ? { interceptors: [requireLeader] } : { deadline: Date.now() + DEADLINE_MS },
    grpcOptions: {
      ...(options.tls?.serverName === undefined ? {} : { "grpc.ssl_target_name_override": options.tls.serverName }),
      "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
      // A peer that is gone without a word is noticed.
      "grpc.keepalive_time_ms": 10_000,
      "grpc.keepalive_timeout_ms": 5_000,
      // gRPC's own waits come on top of the callers': short ones.
      "grpc.initial_reconnect_backoff_ms": 100,
      "grpc.max_reconnect_backoff_ms": 1_000,
      "grpc.use_local_subchannel_pool": 1,
    },
  });
}

/** A member that lost its leader ends the stream, instead of keeping it without changes. */
const requireLeader: Interceptor = (options, next) =>
  new InterceptingCall(next(options), {
    start(metadata, listener, start) {
      metadata.set("hasleader", "true");
      start(metadata, listener);
    },
  });

/** @returns whether they are of TLS */
function checkEndpoints({ endpoints, tls }: EtcdOptions): boolean {
  const kinds = new Set(endpoints.map(schemeOf));
  if (kinds.size !== 1) {
    throw SluiceError.of("etcd-endpoint", endpoints.join(","), "expected one or more URLs, all http or all https");
  }
  const secure = kinds.has("https:");
  if (!secure && tls !== undefined) {
    throw SluiceError.of("etcd-endpoint", endpoints.join(","), "certificates are given: the URLs must be https");
  }
  return secure;
}

function schemeOf(endpoint: string): string {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  if (url === undefined || !["http:", "https:"].includes(url.protocol) || url.port === "" || url.pathname.length > 1) {
    throw SluiceError.of("etcd-endpoint", endpoint, "expected a URL with its port, such as http://127.0.0.1:2379");
  }
  return url.protocol;
}

function credentialsOf({ ca, cert, key }: EtcdTls) {
  if ((cert === undefined) !== (key === undefined)) {
    throw SluiceError.of("etcd-tls", cert ?? key ?? "", "a client certificate and its key belong together");
  }
  return {
    rootCertificate: pem(ca),
    ...(cert === undefined || key === undefined ? {} : { certChain: pem(cert), privateKey: pem(key) }),
  };
}

function pem(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw SluiceError.of("etcd-tls", path, messageOf(error), { cause: error });
  }
}
