/** The years before a request that an accounting covers, and for which lines are stored (45 CFR 164.528(a)(1), (a)(3)). */
export const accountingYears = 6;
