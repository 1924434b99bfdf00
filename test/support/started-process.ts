import { spawn, type ChildProcess, type SpawnOptions } from "node:child_process";
import { once } from "node:events";
import { setTimeout as wait } from "node:timers/promises";

const wordsMax = 2_000;
// On a machine with twenty times the usual load a server still starts in this time.
const patienceMilliseconds = 1_800_000;
const tellEveryMilliseconds = 30_000;

interface UntilOptions {
  readonly everyMilliseconds?: number;
  readonly tell?: (line: string) => void;
}

/** A process of which a caller waits until it is ready, however slow the machine is. */
export class StartedProcess {
  readonly #name: string;
  readonly #child: ChildProcess;
  #words = "";
  #hasEnded = false;

  constructor(name: string, command: string, args: readonly string[], options: SpawnOptions = {}) {
    this.#name = name;
    this.#child = spawn(command, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on("data", (text: Buffer) => {
        this.#words = (this.#words + text.toString()).slice(-wordsMax);
      });
    process.once("exit", () => this.#child.kill());
    this.#child.once("error", (fault) => {
      this.#words += fault.message;
      this.#hasEnded = true;
    });
    this.#child.once("close", () => {
      this.#hasEnded = true;
    });
  }

  /**
   * Asks until there is an answer, as long as the process lives. A question that throws has no answer yet.
   * Throws the last words of a process that ended.
   *
   * @param tell gets a line each half a minute.
   */
  async until<T>(
    ready: () => Promise<T | undefined>,
    { everyMilliseconds = 500, tell = console.error }: UntilOptions = {},
  ): Promise<T> {
    const begin = Date.now();
    for (let told = begin; ;) {
      const answer = await ready().catch(() => undefined);
      if (answer !== undefined) return answer;
      const now = Date.now();
      if (this.#hasEnded) throw new Error(`${this.#name} ended:\n${this.#words}`);
      if (now - begin > patienceMilliseconds)
        throw new Error(`${this.#name} lives, and is not ready:\n${this.#words}`);
      if (now - told > tellEveryMilliseconds) {
        told = now;
        tell(`${this.#name} is not ready after ${Math.round((now - begin) / 1_000)} s`);
      }
      await wait(everyMilliseconds);
    }
  }

  /** Ends the process: after ten seconds by force. */
  async end(): Promise<void> {
    if (this.#hasEnded) return;
    const ended = once(this.#child, "close");
    this.#child.kill("SIGTERM");
    await Promise.race([ended, wait(10_000, undefined, { ref: false })]);
    this.#child.kill("SIGKILL");
  }
}
