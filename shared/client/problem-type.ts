/** `type` of a problem document without the code of the error table that it ends in. */
export const problemTypePrefix = 'https://pgtwin.dev/problems/';
