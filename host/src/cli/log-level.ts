import { Option } from "commander";

export const logLevelOption = () =>
  new Option("--log-level <level>", "how much is logged")
    .choices(["trace", "debug", "info", "warn", "error", "fatal"])
    .default("info");
