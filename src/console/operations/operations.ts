import type { Hono } from "hono";
import type { PageMaker } from "#console/page-maker";
import type { ConsolePorts } from "#console/ports";
import { addApprovals } from "./approvals.ts";
import { addChanges } from "./changes.ts";
import { addDenials } from "./denials.ts";
import { addEvents } from "./events.ts";
import { addReadingPages } from "./reading-pages.ts";
import { addRegistryPages } from "./registry-pages.ts";

/** The pages that show the registry, proposals and reviews, and the steps that change them. */
export function addOperations(app: Hono, ports: ConsolePorts, maker: PageMaker): void {
  for (const add of [addRegistryPages, addDenials, addChanges, addApprovals, addEvents, addReadingPages])
    add(app, ports, maker);
}
