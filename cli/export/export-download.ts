import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { closeConnections } from "../connection/mutual-tls.ts";
import { complain, giveResult, say } from "../output.ts";
import { printable } from "../printable.ts";
import { writePrivateFile } from "../private-file.ts";
import { setShare } from "../progress.ts";
import { bytesOnDisk, downloadFile, type ExportFile } from "./download-file.ts";
import { persistently, type ExportSession, type ExportState, type Manifest } from "./export-session.ts";
import { absent, startedIn } from "./export-status.ts";
import { issuesIn } from "./outcome-text.ts";

/**
 * Waits until an export is finished, and downloads its files into its folder. A call that was broken off is made again
 * and goes on with the bytes on the disk. Returns 0, or 1 if the export failed, or a message in its files is an error.
 */
export async function exportDownload(args: readonly string[]): Promise<number> {
  try {
    const { folder, started, session } = startedIn(args);
    const end = await finished(session, started.status);
    if (end.kind !== "finished") {
      complain(end.kind === "absent" ? absent : printable(`failed: ${end.status} ${end.outcome}`));
      return 1;
    }
    const { manifest } = end;
    writePrivateFile(join(folder, "manifest.json"), `${JSON.stringify(manifest, undefined, 2)}\n`);
    const targets = targetsOf(folder, manifest);
    const files: { readonly file: string; readonly type: string; readonly rows: number }[] = [];
    for (const [at, target] of targets.entries()) {
      const file = basename(target.path);
      setShare(at / targets.length, `file ${at + 1} of ${targets.length}: ${file}`);
      const rows = await persistently(
        () => downloadFile(target, session),
        () => bytesOnDisk(target),
      );
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

type EndState = Exclude<ExportState, { readonly kind: "running" }>;
const waitMaxSeconds = 60;

/** Polls as often as the server says, or after twice as long each time. */
async function finished(session: ExportSession, url: string): Promise<EndState> {
  let [polls, shown] = [0, ""];
  for (;;) {
    const state = await persistently(
      () => session.state(url),
      () => polls,
    );
    if (state.kind !== "running") return state;
    const progress = state.progress ?? "";
    setShare(shareIn(progress), `made at the server${progress === "" ? "" : `: ${progress}`}`);
    if (progress !== shown && !process.stderr.isTTY) say(printable(`running: ${progress}`));
    shown = progress;
    await wait(1_000 * (state.waitSeconds ?? Math.min(2 ** polls, waitMaxSeconds)));
    polls += 1;
  }
}

/** `X-Progress` is free text: a percentage, or `n of m`. */
export function shareIn(progress: string): number {
  const { percent, done, of } =
    /(?<percent>\d+(?:\.\d+)?) ?%|(?<done>\d+) (?:of|\/) (?<of>\d+)/u.exec(progress)?.groups ?? {};
  if (percent !== undefined) return Number(percent) / 100;
  return of === undefined || Number(of) === 0 ? 0 : Number(done) / Number(of);
}

/** The names of the files on the disk: by type, with the place in the manifest. */
function targetsOf(folder: string, { output, deleted, error }: Manifest): readonly ExportFile[] {
  const numbers = new Map<string, number>();
  const named = (stem: string, type: string, url: string): ExportFile => {
    const number = (numbers.get(stem) ?? 0) + 1;
    numbers.set(stem, number);
    return { url, type, path: join(folder, `${stem}.${number}.ndjson`) };
  };
  return [
    ...output.map(({ type, url }) => named(type, type, url)),
    ...deleted.map(({ url }) => named("deleted", "Bundle", url)),
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
