/** Whose rows a repair keeps: one side's, or those that each table's conflict policy speaks for. */
export const winners = ['a', 'b', 'policy'] as const;
export type Winner = (typeof winners)[number];

export const wordsOfWinner = (winner: Winner): string =>
  winner === 'policy' ? "each table's policy says which side wins" : `side ${winner} wins`;
