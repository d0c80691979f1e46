// A thread that runs one row and says so. It can be ended while the stage does not come back.
import { parentPort, workerData } from "node:worker_threads";
import { NodeStage } from "@sluice/sdk/testing";

const stage = new NodeStage(workerData.wasm);
parentPort.postMessage("ready");
await stage.run(workerData.row);
parentPort.postMessage("done");
