/** A value that the scene has by now. */
export function must<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("not set up");
  return value;
}
