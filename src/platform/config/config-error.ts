/** A variable or secret of this deployment is missing or wrong. Names it, never its value. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  constructor(key: string, expected: string) {
    super(`${key}: expected ${expected}`);
  }
}
