const provisionPath = /^provision(?:\.provision\[\d{1,4}\]){0,4}$/u;

/** Answers whether a place is the path of a provision of a Consent: then a record has it in a short form. */
export const isProvisionPath = (place: string): boolean => provisionPath.test(place);
