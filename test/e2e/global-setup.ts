import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { buildDeployedBundles, type WorkerBundles } from "../../sandbox/runtime/worker-bundles.ts";
import { makeTemplateState } from "../support/template-state.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** The five workers as they are deployed, built once for the run. */
    readonly workers: WorkerBundles;
    /** A state folder to copy: {@link makeTemplateState}. */
    readonly templateState: string;
  }
}

/** Runs once for a run: builds the workers in the form that is deployed, and makes the state that each stack starts from. */
export default async function setUp(project: TestProject): Promise<() => void> {
  const folder = mkdtempSync(join(tmpdir(), "phylax-test-"));
  const workers = await buildDeployedBundles(join(folder, "workers"));
  const templateState = join(folder, "state");
  await makeTemplateState(templateState, workers);
  project.provide("workers", workers);
  project.provide("templateState", templateState);
  return () => rmSync(folder, { recursive: true, force: true });
}
