/** The form of a resource type's name. */
export const typeName = /^[A-Z][A-Za-z]{1,63}$/u;

/** The form of a search parameter's name, without a modifier and a chain. */
export const parameterName = /^_?[A-Za-z][A-Za-z0-9-]{0,63}$/u;

/** The form of a resource's id and of a version (R4's `id`), as the source of a pattern. */
export const idForm = "[A-Za-z0-9.-]{1,64}";

/** A text that is an id and nothing more. */
export const resourceId = new RegExp(`^${idForm}$`, "u");
