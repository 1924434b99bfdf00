/** What the caller of `npm start` asked for and cannot have: exit 2, not a fault of the launcher. */
export class StartRefusal extends Error {
  override readonly name = "StartRefusal";
}
