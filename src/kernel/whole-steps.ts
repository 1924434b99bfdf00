/**
 * A size rounded up to whole steps, at least one step. Who chooses the rest of a size learns a hidden part of it only
 * to a step.
 */
export const wholeSteps = (size: number, step: number): number => Math.max(1, Math.ceil(size / step)) * step;
