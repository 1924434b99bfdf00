import { Hono } from "hono";
import { gatewayApp } from "#gateway/app";
import { compiledPolicies } from "#gateway/compiled-policies";
import { instant } from "#kernel/clock";
import { chooseLog } from "#ledger/shard-choice";
import { gatewayConfig } from "#platform/config";
import { clientDirectory } from "#platform/d1/client-directory";
import { originDirectory } from "#platform/d1/origin-directory";
import { policyShelf } from "#platform/d1/policy-shelf";
import { ClientGuard } from "#platform/durable/client-guard";
import { guardLimiter } from "#platform/durable/guard-limiter";
import { ledgerSink } from "#platform/durable/ledger-sink";
import { log } from "#platform/log";
import { originAddress } from "#platform/origin-address";
import { readiness } from "#platform/readiness";
import { upstream } from "#platform/upstream";

export { ClientGuard };
