/** A variable or secret of this deployment is missing or wrong. The error names its key, never its value. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  constructor(key: string, expected: string) {
    super(`${key}: expected ${expected}`);
  }
}
