import { printable } from "./printable.ts";

/**
 * A line on a terminal for a command that takes longer than two seconds: its name, the number of objects that it
 * has read or the share of its work that is done, and the seconds. Nothing is shown elsewhere: a pipe or a log gets
 * the command's own output alone.
 */
export interface ProgressStream {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

const silentMilliseconds = 2_000;
const stepMilliseconds = 200;
const clearLine = "\r\u001B[K";

const barCells = 20;

let readObjects = 0;
let work: { readonly share: number; readonly name: string } | undefined;

/** Counts an object that a reader of a log has read. */
export function countRead(): void {
  readObjects += 1;
}

/** Sets the share of a work that is done, 0 to 1, which is shown as a bar with the name of the work. */
export function setShare(share: number, name: string): void {
  work = { share: Math.min(Math.max(share, 0), 1), name };
}

/** The middle of the line: the bar, or the number of objects. */
function shown(): string {
  if (work === undefined) return readObjects === 0 ? "" : ` ${readObjects.toLocaleString("en-US")} objects,`;
  const done = Math.floor(work.share * barCells);
  const bar = "#".repeat(done) + "-".repeat(barCells - done);
  return ` [${bar}] ${Math.floor(work.share * 100)} % ${printable(work.name)},`;
}

/**
 * Shows the progress of a command until `stop` is called. The terminal's output is watched, so that a line of
 * the command never stands behind the progress.
 */
export function showProgress(
  name: string,
  stream: ProgressStream = process.stderr,
  output: { write: typeof process.stdout.write } = process.stdout,
): { stop(): void } {
  if (stream.isTTY !== true) return { stop: () => undefined };
  const from = Date.now();
  readObjects = 0;
  work = undefined;
  let isShown = false;
  const clear = () => {
    if (isShown) stream.write(clearLine);
    isShown = false;
  };
  const write = output.write;
  output.write = ((...args: Parameters<typeof write>) => {
    clear();
    return write.apply(output, args);
  }) as typeof write; // the same signatures
  const timer = setInterval(() => {
    const elapsed = Date.now() - from;
    if (elapsed < silentMilliseconds) return;
    stream.write(`${clearLine}phylax ${name}:${shown()} ${Math.floor(elapsed / 1_000)} s …`);
    isShown = true;
  }, stepMilliseconds);
  timer.unref();
  return {
    stop() {
      clearInterval(timer);
      clear();
      output.write = write;
    },
  };
}
