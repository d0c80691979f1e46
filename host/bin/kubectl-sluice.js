#!/usr/bin/env node
// kubectl finds this on the PATH as kubectl-sluice: `kubectl sluice status` is about the cluster.
import "./sluice.js";
