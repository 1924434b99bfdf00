const methods = ["log", "info", "warn", "error", "debug"] as const;
// A JWS of JSON: an access token, an assertion, a proof. No further printed text begins with these
// characters.
const jws = /\beyJ[\w-]{8,}\.[\w-]{8,}/u;

/** Reads the output of the workers and the launcher of this process, in place of the terminal. */
export class LogWatch {
  readonly #originals = methods.map((method) => [method, console[method]] as const);
  readonly #secrets: readonly string[];
  readonly #found = new Set<string>();
  #lines = 0;

  /** @param secrets texts that no line may contain, in addition to tokens, assertions and proofs. */
  constructor(secrets: readonly string[]) {
    this.#secrets = secrets;
    for (const [method] of this.#originals)
      console[method] = (...args: unknown[]) => this.#read(args.map(String).join(" "));
  }

  /** The number of lines that it has read. */
  get lines(): number {
    return this.#lines;
  }

  /** Throws when a line contained a secret. The error names the kind of secret, never the secret. */
  end(): void {
    for (const [method, original] of this.#originals) console[method] = original;
    if (this.#found.size > 0) throw new Error(`printed: ${[...this.#found].join(", ")}`);
  }

  #read(line: string): void {
    this.#lines += 1;
    if (jws.test(line)) this.#found.add("a token, an assertion or a proof");
    if (this.#secrets.some((secret) => line.includes(secret)))
      this.#found.add("a secret or a patient's name");
  }
}
