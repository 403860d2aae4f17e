/** A condition as it stands in a statement: a comment at its end must not reach further. */
export const conditionSql = (where: string): string => `(\n${where}\n)`;
