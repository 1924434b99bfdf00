import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { closeConnections } from "../connection/mutual-tls.ts";
import { complain, giveResult, say } from "../output.ts";
import { printable } from "../printable.ts";
import { writePrivateFile } from "../private-file.ts";
import { setShare } from "../progress.ts";
import { downloadFile, type ExportFile } from "./download-file.ts";
import { persistently, type Manifest } from "./export-session.ts";
import { startedIn } from "./export-status.ts";
import { issuesIn } from "./outcome-text.ts";

/**
 * Downloads the files of an export into its folder. A call that was broken off is made again and keeps the files that
 * are whole. Returns 0, or 1 if a message in the files is an error.
 */
export async function exportDownload(args: readonly string[]): Promise<number> {
  try {
    const { folder, started, session } = startedIn(args);
    const { manifest } = await persistently(() => session.manifest(started.status));
    writePrivateFile(join(folder, "manifest.json"), `${JSON.stringify(manifest, undefined, 2)}\n`);
    const targets = targetsOf(folder, manifest);
    const files: { readonly file: string; readonly type: string; readonly rows: number }[] = [];
    for (const [at, target] of targets.entries()) {
      const file = basename(target.path);
      const show = (rows: number) =>
        setShare(at / targets.length, `file ${at + 1} of ${targets.length}: ${file}, ${rows} rows`);
      show(0);
      const rows = await persistently(() => downloadFile(target, session, show));
      files.push({ file, type: target.type, rows });
      say(`${file}: ${rows} rows`);
    }
    giveResult({ folder, transactionTime: manifest.transactionTime, files });
    say(printable(`${folder}: ${files.length} files of ${manifest.transactionTime}, for the next --since`));
    return sayMessages(targets) ? 1 : 0;
  } finally {
    closeConnections();
  }
}

/** The names of the files on the disk: by type, with the place in the manifest. */
function targetsOf(folder: string, { output, error }: Manifest): readonly ExportFile[] {
  const numbers = new Map<string, number>();
  const named = (stem: string, type: string, url: string): ExportFile => {
    const number = (numbers.get(stem) ?? 0) + 1;
    numbers.set(stem, number);
    return { url, type, path: join(folder, `${stem}.${number}.ndjson`) };
  };
  return [
    ...output.map(({ type, url }) => named(type, type, url)),
    ...error.map(({ url }) => named(messages, "OperationOutcome", url)),
  ];
}

const messages = "messages";

/** Prints the server's messages about the export. Answers whether there is an error among them. */
function sayMessages(targets: readonly ExportFile[]): boolean {
  const issues = targets
    .filter(({ path }) => basename(path).startsWith(`${messages}.`))
    .flatMap(({ path }) => readFileSync(path, "utf8").split("\n"))
    .flatMap(issuesIn);
  for (const { words } of issues) complain(printable(words));
  return issues.some(({ isError }) => isError);
}
