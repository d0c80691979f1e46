// A process of many nodes' agents without dataplanes: what follows the cluster, gets modules, decides what runs and reports it is the
// agents' own, and what they would send to a dataplane is taken for done. See rollout.ts.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { ClusterPlugins } from "@sluice/host/dist/agent/cluster-plugins.js";
import { ClusterView } from "@sluice/host/dist/agent/cluster-view.js";
import { ClusterWatch } from "@sluice/host/dist/agent/cluster-watch.js";
import { conditions } from "@sluice/host/dist/agent/conditions.js";
import { EtcdReport } from "@sluice/host/dist/agent/etcd-report.js";
import { startSettings } from "@sluice/host/dist/agent/node-config.js";
import { NodeState } from "@sluice/host/dist/agent/node-state.js";
import { loadModules, type OwnModules } from "@sluice/host/dist/agent/plugins.js";
import { reportPrefixes, reports } from "@sluice/host/dist/agent/reports.js";
import { UserStages } from "@sluice/host/dist/agent/user-stages.js";
import { EtcdStore } from "@sluice/host/dist/store/etcd-store.js";
import { ModuleStore } from "@sluice/host/dist/store/module-store.js";
import { type Logger, pino } from "pino";

const GATHER_MS = 20;
/** How often a dataplane whose stages are on trial is looked at. */
const LOOK_MS = 200;

class SimulatedNode {
  readonly read: Promise<void>;
  private readonly state: NodeState;
  private readonly users: UserStages;
  private readonly report: EtcdReport;
  private gathering: NodeJS.Timeout | undefined;

  constructor(name: string, endpoint: string, folder: string, modules: OwnModules, log: Logger) {
    const store = EtcdStore.open({ endpoints: [endpoint] });
    const moduleStore = new ModuleStore(store);
    mkdirSync(folder, { recursive: true });
    const view = new ClusterView(name, (change) => {
      this.state.changed(change);
      plugins.changed(change);
      this.users.changed(change);
    });
    const plugins = new ClusterPlugins(view, modules);
    this.state = new NodeState({ view, plugins, serviceCidrs: [] });
    this.users = new UserStages({
      folder,
      view,
      state: this.state,
      module: (digest) => moduleStore.get(digest),
      log,
      stages: (users) => this.state.stages(undefined, [], users),
      compare: async () => undefined,
      changed: () => this.apply(),
      reported: () => this.report.touch(),
    });
    this.report = new EtcdReport({
      store,
      prefixes: reportPrefixes(name),
      wanted: () =>
        reports({
          node: name,
          attachments: [],
          wants: new Map(),
          conditions: conditions({ refused: [], behind: [], isDataplaneAway: false, isOtherStart: false }),
          config: this.state.config,
          ...this.users.reports(),
        }),
      log,
    });
    this.read = new ClusterWatch({ store, view, log, changed: () => this.gather() }).read;
    setInterval(() => this.users.areOnTrial && this.users.look([]), LOOK_MS);
  }

  private gather(): void {
    this.report.touch();
    this.gathering ??= setTimeout(() => {
      this.gathering = undefined;
      this.apply();
    }, GATHER_MS);
  }

  private apply(): void {
    const settings = startSettings("node", this.state.config.spec, "info");
    this.users.fitted((users) => this.state.spec(settings, undefined, [], users));
    this.users.confirm();
  }
}

const [, , endpoint = "", folder = "", ...names] = process.argv;
const log = pino({ level: "warn" }, pino.destination({ fd: 2, sync: true }));
const modules = loadModules();
for (const name of names) await new SimulatedNode(name, endpoint, join(folder, name), modules, log).read;
console.log("all follow");
