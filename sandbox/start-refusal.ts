/** A request of the caller of `npm start` that cannot be met: exit 2, not a fault of the launcher. */
export class StartRefusal extends Error {
  override readonly name = "StartRefusal";
}
