/** Halves of an address as a register write or a field takes them. */
export const upper = (address: number): number => Math.floor(address / 2 ** 32);
export const lower = (address: number): number => address | 0;
