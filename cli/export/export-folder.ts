import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { readJsonFile } from "../json-file.ts";
import { UnusableFile } from "../misuse.ts";
import { writePrivateFile } from "../private-file.ts";

const form = z.object({
  /** The polling location. */
  status: z.string(),
  /** The FHIR base of the deployment. */
  fhir: z.string(),
  client: z.string(),
  purpose: z.string().optional(),
  scope: z.string().optional(),
});

/** What a later call needs to go on with an export. It names no patient. */
export type StartedExport = z.infer<typeof form>;

const fileOf = (folder: string): string => join(folder, "export.json");

/** Makes the folder, for its owner alone. Throws if an export was started in it. */
export function makeFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (existsSync(fileOf(folder)))
    throw new UnusableFile(`${folder} has an export already: name a new folder`);
}

export const writeStarted = (folder: string, started: StartedExport): void =>
  writePrivateFile(fileOf(folder), `${JSON.stringify(started, undefined, 2)}\n`);

export function readStarted(folder: string): StartedExport {
  const read = readJsonFile(fileOf(folder));
  const started = form.safeParse(read.ok ? read.value : undefined);
  if (started.success) return started.data;
  throw new UnusableFile(`${folder} has no export: \`phylax export start CLIENT ${folder}\` starts one`);
}

/** The ids of patients, a line each. `-` is standard input, so that no id stands in the history of a shell. */
export const idsIn = (file: string): readonly string[] =>
  readFileSync(file === "-" ? 0 : file, "utf8")
    .split(/\s+/u)
    .filter((id) => id !== "");
