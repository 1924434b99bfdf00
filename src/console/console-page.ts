import { registryReaders } from "#admin/change-registry";
import { alertReaders } from "#admin/tasks/alerts";
import { exportReaders } from "#admin/tasks/exports";
import { roles, type Operator, type Role } from "#admin/operator";
import { texts } from "./texts.ts";

/** A page of the console, and the roles that may open it. */
export interface ConsolePage {
  readonly path: string;
  readonly name: string;
  readonly roles: readonly Role[];
}

/** The navigation, in its order. */
export const consolePages = {
  now: { path: "/console", name: texts.nav.now, roles },
  patients: { path: "/console/patients", name: texts.nav.patients, roles: ["privacy-officer"] },
  ledger: { path: "/console/ledger", name: texts.nav.ledger, roles },
  registry: {
    path: "/console/registry",
    name: texts.nav.registry,
    roles: registryReaders,
  },
  approvals: {
    path: "/console/approvals",
    name: texts.nav.approvals,
    roles: [...registryReaders, "revoker", "privacy-officer"],
  },
  alerts: { path: "/console/alerts", name: texts.nav.alerts, roles: alertReaders },
  events: { path: "/console/events", name: texts.nav.events, roles: ["privacy-officer"] },
  cases: { path: "/console/cases", name: texts.nav.cases, roles: ["privacy-officer"] },
  exports: { path: "/console/exports", name: texts.nav.exports, roles: exportReaders },
  why: { path: "/console/why", name: texts.nav.why, roles },
} as const satisfies Readonly<Record<string, ConsolePage>>;

/** True if the operator has a role of the page. */
export const mayOpen = ({ roles }: ConsolePage, operator: Operator): boolean =>
  roles.some((role) => operator.roles.includes(role));
