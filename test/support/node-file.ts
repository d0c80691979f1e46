/** A node file as these tests write it; host/src/config/schema.ts says what each key means. */
export interface NodeFile {
  name: string;
  workers?: number;
  memory?: { size?: number; hugepages?: "auto" | "never" | "require"; buffers?: number; jumbos?: number };
  stateDir?: string;
  cacheDir?: string;
  ports: PortSpec[];
  routes: RouteSpec[];
  neighbours?: { port: string; address: string; mac: string }[];
  conntrack?: { maxFlows?: number; persist?: boolean; file?: string; timeouts?: Record<string, number> };
  plugins: PluginSpec[];
  pipeline?: Record<string, string[]>;
}

export interface PortSpec {
  name: string;
  kind: "tap" | "veth" | "af-packet" | "af-xdp" | "memif" | "vxlan";
  device?: string;
  take?: boolean;
  socket?: string;
  netns?: string;
  mac?: string;
  peerMac?: string;
  mtu?: number;
  addresses?: string[];
  peerAddresses?: string[];
  peerDefaultRoute?: boolean;
  proxy?: boolean;
  host?: boolean;
  vni?: number;
  local?: string;
}

export interface RouteSpec {
  prefix: string;
  table?: number;
  blackhole?: boolean;
  local?: boolean;
  nextHops?: { port: string; gateway?: string; remote?: string; mac?: string; weight?: number }[];
}

export interface PluginSpec {
  name: string;
  module?: string;
  source?: string;
  failure?: "FailClosed" | "FailOpen" | "Reload";
  budgetUs?: number;
  scope?: string[];
  before?: string[];
  after?: string[];
  config?: unknown;
}
